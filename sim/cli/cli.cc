#include "sim/cli/cli.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <sstream>

#include "CLI/CLI.hpp"
#include "sim/base/sim_time.h"
#include "sim/cli/check_command.h"
#include "sim/cli/describe.h"
#include "sim/cli/interrupt.h"
#include "sim/cli/replay_command.h"
#include "sim/cli/run_command.h"
#include "sim/cli/study_commands.h"
#include "sim/config/search_path.h"
#include "sim/study/calibrate_command.h"
#include "sim/study/collective_command.h"
#include "sim/study/command.h"
#include "sim/study/topology_command.h"

#ifndef SIMULATE_VERSION
#define SIMULATE_VERSION "unknown"
#endif

namespace simulate {
namespace {

constexpr const char* kAbout =
    "Replays one training step of a transformer on a cluster, event by event, and says how fast it runs, what fits in "
    "memory and where the time goes.";

constexpr const char* kFooter =
    "Examples:\n"
    "  simulate scenarios/t5_11b_fsdp.yaml\n"
    "  simulate scenarios/t5_11b_fsdp.yaml --set cluster.gpus=64 --set training.micro_batch_size=4\n"
    "  simulate scenarios/t5_11b_fsdp.yaml --json > result.json\n"
    "\n"
    "Exit codes: 0 done, 1 a check fell short, 2 bad input or a file that cannot be written, 3 a bug in simulate,\n"
    "130 interrupted.\n"
    "Models, hardware and scenarios are found by name in the working directory, in SIMULATE_PATH, beside the program\n"
    "and in the installed share folder.";

// `simulate completion SHELL` and `simulate man`, both made from the definition of the other commands.
void AddSelfDescription(CLI::App& app, Command& command) {
  CLI::App* completion = app.add_subcommand("completion", "Print the completion script for a shell: source <(simulate completion bash)");
  auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}))->type_name("SHELL");
  completion->callback([shell, &app, &command] {
    const std::vector<CommandText> commands = DescribeCommands(app);
    command.out << (*shell == "bash" ? BashCompletion(commands) : *shell == "zsh" ? ZshCompletion(commands) : FishCompletion(commands));
  });
  CLI::App* man = app.add_subcommand("man", "Print the manual page: simulate man | man -l -");
  man->callback([&app, &command] { command.out << ManPage(DescribeCommands(app), SIMULATE_VERSION, kFooter); });
}

int Parse(CLI::App& app, int argc, char** argv, Command& command) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, command.out, command.err);
    return code == 0 ? kExitDone : kExitBadInput;
  }
  return command.exit_code;
}

// Results are printed in one go at the end. A reader that closed the pipe has read what it wanted.
int Print(const std::string& text, int code) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) return code;
    if (n <= 0) {
      std::cerr << "error: cannot write to standard output: " << std::strerror(errno) << "\n";
      return kExitBadInput;
    }
    written += static_cast<size_t>(n);
  }
  return code;
}

}  // namespace

namespace {

// As of an unset shell variable: nothing would be written, and nothing said.
void RefuseEmptyFileNames(CLI::App& app) {
  for (CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    const std::string type = option->get_type_name();
    if (type != "FILE" && type != "DIR" && type != "FOLDER") continue;
    option->check([](const std::string& name) { return std::string(name.empty() ? "the name is empty" : ""); });
  }
  for (CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) RefuseEmptyFileNames(*sub);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  HandleInterrupts();
  std::ostringstream out;
  Command command{out, std::cerr, DiscoverSearchPath(argv[0]), isatty(STDOUT_FILENO) != 0, isatty(STDERR_FILENO) != 0,
                  kExitDone, {}};
  CLI::App app(kAbout, "simulate");
  app.footer(kFooter);
  app.set_version_flag("--version", "simulate " SIMULATE_VERSION);
  app.set_help_flag("-h,--help", "Print this help");
  app.require_subcommand(0, 1);
  AddRunCommand(app, command);
  AddCheckCommand(app, command);
  AddCompareCommand(app, command);
  AddPlanCommand(app, command);
  AddSensitivityCommand(app, command);
  AddMemoryCommand(app, command);
  AddListCommand(app, command);
  AddShowCommand(app, command);
  AddCollectiveCommand(app, command);
  AddTopologyCommand(app, command);
  AddCalibrateCommand(app, command);
  AddReplayCommand(app, command);
  AddSelfDescription(app, command);
  RefuseEmptyFileNames(app);
  try {
    const int code = Parse(app, argc, argv, command);
    const int printed = Print(out.str(), code);
    if (printed == kExitDone && command.when_printed) command.when_printed();
    return printed;
  } catch (const TimeOverflow& error) {
    std::cerr << "error: " << error.what() << "\nhelp: some number of the scenario or of the hardware is off by orders of magnitude\n";
    return kExitBadInput;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: this machine has not enough memory for the run\n";
    return kExitBadInput;
  } catch (const std::exception& error) {
    std::cerr << "error: simulate has a bug: " << error.what()
              << "\n  help: please report it with the scenario that shows it\n";
    return kExitBug;
  }
}

}  // namespace simulate
