// What a subcommand of `simulate` is given and gives back. A command lives in study/<name>_command.{h,cc} and
// offers one function, `void Add<Name>Command(CLI::App& app, Command& command)`, which declares its options and
// sets a callback; the callback does the work and stores the exit code. cli/ lists the commands.
//
// Results go to `out`, everything said to a person (diagnostics, progress) to `err`.
//
//   void AddTopologyCommand(CLI::App& app, Command& command) {
//     CLI::App* sub = app.add_subcommand("topology", "Print a cluster's links and routes");
//     auto options = std::make_shared<Options>();
//     sub->add_option("hardware", options->hardware, "name or file")->required();
//     sub->callback([options, &command] { command.exit_code = Run(*options, command); });
//   }
#pragma once

#include <functional>
#include <ostream>

#include "sim/config/config.h"

namespace CLI {
class App;
}

namespace simulate {

inline constexpr int kExitDone = 0;      // the result was printed; an out-of-memory run is a result
inline constexpr int kExitFellShort = 1;  // a `check` fell short
inline constexpr int kExitBadInput = 2;   // diagnostics were printed
inline constexpr int kExitBug = 3;        // our own mistake

struct Command {
  std::ostream& out;
  std::ostream& err;
  SearchPath search;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  int exit_code = kExitDone;
  std::function<void()> when_printed = {};  // called when `out` has reached standard output
};

}  // namespace simulate
