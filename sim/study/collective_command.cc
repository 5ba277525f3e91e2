#include "sim/study/collective_command.h"

#include <memory>
#include <numeric>
#include <optional>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/base/quantity_text.h"
#include "sim/config/read_cluster.h"
#include "sim/engine/message_replay.h"
#include "sim/study/collective_accuracy.h"
#include "sim/study/collective_table.h"
#include "sim/study/write_file.h"

namespace simulate {
namespace {

// The value that goes by this name, by the Name() of its enumeration.
template <typename E>
std::optional<E> ByName(const std::string& name, std::initializer_list<E> values) {
  for (const E value : values) {
    if (name == Name(value)) return value;
  }
  return std::nullopt;
}

template <typename E>
std::optional<E> Choose(const char* what, const std::string& name, std::initializer_list<E> values, Diagnostics& diagnostics) {
  const std::optional<E> found = ByName(name, values);
  if (found) return found;
  Diagnostic& d = diagnostics.Error(absl::StrCat("there is no ", what, " `", name, "`"));
  std::string known;
  for (const E value : values) absl::StrAppend(&known, known.empty() ? "" : ", ", Name(value));
  d.help.push_back(absl::StrCat("known: ", known));
  return std::nullopt;
}

std::optional<CollectiveOp> ChooseOp(const std::string& name, Diagnostics& diagnostics) {
  return Choose("collective", name,
                {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter, CollectiveOp::kBroadcast,
                 CollectiveOp::kReduce, CollectiveOp::kAllToAll, CollectiveOp::kSendRecv},
                diagnostics);
}

CollectiveChoice ChooseHow(const CollectiveOptions& options, Diagnostics& diagnostics) {
  CollectiveChoice choice;
  if (!options.algorithm.empty()) {
    choice.algorithm = Choose("algorithm", options.algorithm,
                              {Algorithm::kRing, Algorithm::kTree, Algorithm::kNvls, Algorithm::kNvlsTree, Algorithm::kPairwise,
                               Algorithm::kHierarchical, Algorithm::kTorus},
                              diagnostics);
  }
  if (!options.protocol.empty()) {
    choice.protocol = Choose("protocol", options.protocol, {Protocol::kLL, Protocol::kLL128, Protocol::kSimple}, diagnostics);
  }
  return choice;
}

bool WriteText(const std::string& path, const std::string& text, Diagnostics& diagnostics) {
  return WriteFile(path, [&](std::ostream& out) { out << text; }, diagnostics);
}

int PrintAccuracy(const CollectiveOptions& options, Command& command, Diagnostics& diagnostics) {
  const std::vector<MeasuredCollective> rows = PriceMeasured(options.measured, command.search, diagnostics);
  if (rows.empty()) return kExitBadInput;
  for (const ClassAccuracy& c : Summarise(rows)) {
    command.out << absl::StrFormat("%-12s  64 MiB and above: median %5.1f %% of %3d rows   below: median %5.1f %% of %3d rows\n",
                                   c.name, 100.0 * c.median_large, c.rows_large, 100.0 * c.median_small, c.rows_small);
  }
  if (options.markdown.empty()) return kExitDone;
  const size_t dot = options.markdown.rfind('.');
  const std::string plot = options.markdown.substr(0, dot) + ".svg";
  const bool written = WriteText(options.markdown, AccuracyMarkdown(rows, plot.substr(plot.find_last_of('/') + 1)), diagnostics) &&
                       WriteText(plot, AccuracyPlotSvg(rows), diagnostics);
  return written ? kExitDone : kExitBadInput;
}

// The times again, every message a flow of its own.
bool Replay(const Topology& topology, const CollectiveModel& model, int64_t gpus, std::vector<CollectiveRow>* rows,
            Diagnostics& diagnostics) {
  constexpr uint64_t kMost = 400'000'000;  // about ten seconds where nothing is shared
  std::vector<uint32_t> group(static_cast<size_t>(gpus));
  std::iota(group.begin(), group.end(), 0u);
  std::vector<double> bandwidth;
  for (const Link& link : topology.links()) bandwidth.push_back(link.bandwidth.value());
  for (CollectiveRow& row : *rows) {
    const CollectiveRequest request{row.op, row.bytes, {group}};
    const CollectiveCost cost = model.Cost(request);
    const MessageSchedule schedule = model.Messages(request, cost);
    if (MessageCount(schedule) > kMost) {
      diagnostics.Error(absl::StrCat(Name(row.algorithm), " over ", gpus, " accelerators takes ", MessageCount(schedule),
                                     " messages, more than can be replayed"))
          .help.push_back(absl::StrCat("at most ", kMost, "; fewer accelerators, or without --messages"));
      return false;
    }
    const MessageOutcome outcome = ReplayMessages(schedule, bandwidth);
    row.replayed = outcome.end.seconds() + cost.overhead;
    row.messages = static_cast<int64_t>(outcome.messages);
  }
  return true;
}

int PrintTable(const CollectiveOptions& options, Command& command, Diagnostics& diagnostics) {
  const std::optional<CollectiveOp> op = ChooseOp(options.op, diagnostics);
  const CollectiveChoice choice = ChooseHow(options, diagnostics);
  const std::vector<Bytes> sizes = ParseSizes(options.bytes, diagnostics);
  if (options.hardware.empty()) diagnostics.Error("which cluster?").help.emplace_back("--hardware NAME, for example aws-p4d");
  if (diagnostics.HasErrors()) return kExitBadInput;
  const std::optional<HardwareSpec> hardware = LoadHardware(options.hardware, command.search, diagnostics);
  if (!hardware) return kExitBadInput;
  const int64_t gpus = options.gpus > 0 ? options.gpus : hardware->node.accelerators;
  const ClusterProblem problem = CheckClusterSize(*hardware, gpus);
  if (!problem.message.empty()) {
    Diagnostic& d = diagnostics.Error(absl::StrCat(problem.message, ": ", problem.label));
    d.help.push_back(problem.help);
    return kExitBadInput;
  }
  const Topology topology(*hardware, gpus);
  const CollectiveModel model(*hardware, topology, choice);
  std::vector<CollectiveRow> rows = CollectiveTable(topology, model, *op, gpus, sizes);
  if (options.messages && !Replay(topology, model, gpus, &rows, diagnostics)) return kExitBadInput;
  command.out << (options.json ? CollectiveTableJson(rows) : CollectiveTableText(rows));
  return kExitDone;
}

}  // namespace

std::vector<Bytes> ParseSizes(const std::string& text, Diagnostics& diagnostics) {
  const size_t dots = text.find("..");
  const std::string ends[] = {text.substr(0, dots), dots == std::string::npos ? text : text.substr(dots + 2)};
  int64_t bounds[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    const ParsedQuantity q = ParseQuantity(ends[i], Dimension::kSize);
    if (q.error == QuantityError::kNone && q.value >= 1.0) bounds[i] = static_cast<int64_t>(q.value);
  }
  std::vector<Bytes> sizes;
  for (int64_t size = bounds[0]; size > 0 && size <= bounds[1]; size *= 2) sizes.emplace_back(size);
  if (sizes.empty()) {
    diagnostics.Error(absl::StrCat("`", text, "` is neither a size nor a range of sizes"))
        .help.emplace_back("for example 64MiB, or 1KiB..4GiB for all powers of two between");
  }
  return sizes;
}

int RunCollective(const CollectiveOptions& options, Command& command) {
  Diagnostics diagnostics;
  const int code = options.measured.empty() ? PrintTable(options, command, diagnostics) : PrintAccuracy(options, command, diagnostics);
  command.err << diagnostics.Render();
  return code;
}

void AddCollectiveCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("collective", "Print collective times in the manner of nccl-tests");
  auto options = std::make_shared<CollectiveOptions>();
  sub->add_option("operation", options->op, "all_reduce, all_gather, reduce_scatter, broadcast, reduce, all_to_all, sendrecv");
  sub->add_option("--hardware", options->hardware, "name or file of the cluster")->type_name("HARDWARE");
  sub->add_option("--gpus", options->gpus, "accelerators; one node if absent")->check(CLI::Range(1, 10'000'000))->type_name("N");
  sub->add_option("--bytes", options->bytes, "a size, or a range such as 1KiB..4GiB");
  sub->add_option("--algorithm", options->algorithm, "only this one, as NCCL_ALGO");
  sub->add_option("--protocol", options->protocol, "only this one, as NCCL_PROTO");
  sub->add_flag("--json", options->json, "print one JSON object");
  sub->add_flag("--messages", options->messages, "also replay every message as a flow of its own, beside the closed form");
  CLI::Option* measured =
      sub->add_option("--measured", options->measured, "CSV of measured collectives to compare with")->type_name("FILE");
  sub->add_option("--markdown", options->markdown, "write the comparison as a page, with a plot beside it")->type_name("FILE")->needs(measured);
  sub->callback([options, &command] { command.exit_code = RunCollective(*options, command); });
}

}  // namespace simulate
