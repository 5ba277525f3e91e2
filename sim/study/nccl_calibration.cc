#include "sim/study/nccl_calibration.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sim/base/quantity_text.h"
#include "sim/config/read_cluster.h"

namespace simulate {
namespace {

constexpr CollectiveOp kOps[] = {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
                                 CollectiveOp::kBroadcast, CollectiveOp::kReduce, CollectiveOp::kAllToAll, CollectiveOp::kSendRecv};

std::vector<std::string> Words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// size count type [redop root] time algbw busbw ...: the time is the number whose neighbour is size / time.
std::optional<NcclTestRow> ParseRow(const std::vector<std::string>& words) {
  int64_t size = 0;
  if (words.size() < 5 || !absl::SimpleAtoi(words[0], &size) || size <= 0) return std::nullopt;
  for (size_t i = 2; i + 1 < words.size(); ++i) {
    double us = 0.0, gigabytes = 0.0;
    if (!absl::SimpleAtod(words[i], &us) || !absl::SimpleAtod(words[i + 1], &gigabytes) || us <= 0.0) continue;
    const double expected = static_cast<double>(size) / us / 1e3;
    // Two printed digits; nccom-test counts GiB/s.
    if (std::abs(gigabytes - expected) <= 0.0051 + 0.08 * expected && gigabytes >= 0.0) {
      return NcclTestRow{Bytes(size), Microseconds(us)};
    }
  }
  return std::nullopt;
}

// The links that bound the collective, with the constants that are fitted.
LinkSpec Fitted(const HardwareSpec& h, bool network) {
  LinkSpec link = network ? h.node.nic : h.node.scale_up;
  if (network) link.latency = h.fabric.link.latency;
  return link;
}

HardwareSpec With(HardwareSpec h, bool network, double efficiency, double latency) {
  (network ? h.node.nic : h.node.scale_up).efficiency = efficiency;
  // NVLS reduces at its own share, which moves with that of plain copies.
  if (!network) h.node.nvls_efficiency *= efficiency / std::max(h.node.scale_up.efficiency, 1e-9);
  (network ? h.fabric.link : h.node.scale_up).latency = Seconds(latency);
  return h;
}

std::vector<CollectiveRow> Predict(const HardwareSpec& h, int64_t gpus, CollectiveOp op, const std::vector<NcclTestRow>& rows) {
  const Topology topology(h, gpus);
  const CollectiveModel model(h, topology);
  std::vector<Bytes> sizes;
  for (const NcclTestRow& row : rows) sizes.push_back(row.bytes);
  return CollectiveTable(topology, model, op, gpus, sizes);
}

double LogError(const std::vector<CollectiveRow>& predicted, const std::vector<NcclTestRow>& rows) {
  double sum = 0.0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double e = std::log(predicted[i].time.value() / rows[i].time.value());
    sum += std::min(e * e, 1.0);  // a single outlier must not steer the fit
  }
  return sum;
}

double MeanError(const std::vector<CollectiveRow>& predicted, const std::vector<NcclTestRow>& rows) {
  double sum = 0.0;
  for (size_t i = 0; i < rows.size(); ++i) sum += std::abs(predicted[i].time.value() / rows[i].time.value() - 1.0);
  return rows.empty() ? 0.0 : sum / static_cast<double>(rows.size());
}

}  // namespace

NcclTestOutput ParseNcclTests(const std::string& text) {
  NcclTestOutput output;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = Words(line);
    if (words.size() > 2 && words[0] == "#" && words[1] == "Rank") ++output.ranks;
    for (const CollectiveOp op : kOps) {
      if (!output.op && line.find(absl::StrCat(Name(op), "_perf")) != std::string::npos) output.op = op;
    }
    if (!output.op && line.find("alltoall_perf") != std::string::npos) output.op = CollectiveOp::kAllToAll;
    if (const std::optional<NcclTestRow> row = ParseRow(words)) output.rows.push_back(*row);
  }
  return output;
}

NcclFit FitLinks(const HardwareSpec& hardware, int64_t gpus, CollectiveOp op, const std::vector<NcclTestRow>& rows) {
  NcclFit fit;
  fit.network = gpus > hardware.node.accelerators;
  fit.before = Fitted(hardware, fit.network);
  fit.rows_before = Predict(hardware, gpus, op, rows);
  double efficiency = fit.before.efficiency;
  double latency = std::max(fit.before.latency.value(), 1e-7);
  const auto error_at = [&](double e, double l) { return LogError(Predict(With(hardware, fit.network, e, l), gpus, op, rows), rows); };
  double best = error_at(efficiency, latency);
  // Pattern search: each number up or down by a factor that shrinks when neither helps.
  for (double factor = 1.5; factor > 1.002;) {
    const double start = best;
    for (const double step : {factor, 1.0 / factor}) {
      const double e = std::min(1.0, efficiency * step);
      if (const double here = error_at(e, latency); here < best) best = here, efficiency = e;
      if (const double here = error_at(efficiency, latency * step); here < best) best = here, latency *= step;
    }
    if (best >= start) factor = std::sqrt(factor);
  }
  fit.after = fit.before;
  fit.after.efficiency = efficiency;
  fit.after.latency = Seconds(latency);
  fit.rows_after = Predict(With(hardware, fit.network, efficiency, latency), gpus, op, rows);
  fit.error_before = MeanError(fit.rows_before, rows);
  fit.error_after = MeanError(fit.rows_after, rows);
  return fit;
}

int RunNcclCalibration(const NcclCalibrationOptions& options, Command& command) {
  Diagnostics diagnostics;
  std::ifstream file(options.file, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  const NcclTestOutput output = ParseNcclTests(text.str());
  std::optional<HardwareSpec> hardware;
  if (options.hardware.empty()) {
    diagnostics.Error("which cluster was measured?").help.emplace_back("give --hardware, the machine whose links are to be fitted");
  } else {
    hardware = LoadHardware(options.hardware, command.search, diagnostics);
  }
  if (!file.is_open()) {
    diagnostics.Error(absl::StrCat("cannot read `", options.file, "`"));
  } else if (output.rows.empty()) {
    diagnostics.Error(absl::StrCat("no results of nccl-tests or nccom-test in `", options.file, "`"))
        .help.emplace_back("expected are the lines that begin with size, count and type");
  }
  CollectiveOp op = output.op.value_or(CollectiveOp::kAllReduce);
  bool known_op = options.op.empty();
  for (const CollectiveOp known : kOps) {
    if (options.op != Name(known)) continue;
    op = known;
    known_op = true;
  }
  if (!known_op) {
    diagnostics.Error(absl::StrCat("there is no collective `", options.op, "`"))
        .help.push_back(absl::StrCat("known: ", absl::StrJoin(kOps, ", ", [](std::string* out, CollectiveOp o) { out->append(Name(o)); })));
  }
  const int64_t gpus = options.gpus > 0 ? options.gpus : output.ranks;
  if (gpus < 2 && file.is_open()) diagnostics.Error("how many accelerators were measured?").help.emplace_back("the output does not say: give --gpus");
  const ClusterProblem problem = hardware && gpus >= 2 ? CheckClusterSize(*hardware, gpus) : ClusterProblem{};
  if (!problem.message.empty()) diagnostics.Error(absl::StrCat(problem.message, ": ", problem.label)).help.push_back(problem.help);
  command.err << diagnostics.Render();
  if (diagnostics.HasErrors() || !hardware) return kExitBadInput;

  const NcclFit fit = FitLinks(*hardware, gpus, op, output.rows);
  command.out << absl::StrFormat("%s over %d x %s\n%13s %12s %12s %8s %12s %8s\n", Name(op), gpus, hardware->name, "size (B)",
                                 "measured us", "before us", "error", "fitted us", "error");
  for (size_t i = 0; i < output.rows.size(); ++i) {
    const double measured = output.rows[i].time.value();
    const double before = fit.rows_before[i].time.value(), after = fit.rows_after[i].time.value();
    command.out << absl::StrFormat("%13d %12.2f %12.2f %+7.1f%% %12.2f %+7.1f%%\n", output.rows[i].bytes.value(), measured * 1e6,
                                   before * 1e6, 100.0 * (before / measured - 1.0), after * 1e6, 100.0 * (after / measured - 1.0));
  }
  command.out << absl::StrFormat("mean error %.1f %% before, %.1f %% fitted\n\n", 100.0 * fit.error_before, 100.0 * fit.error_after);
  command.out << (fit.network ? "# node: nic, and fabric: link\n" : "# node: scale_up\n")
              << absl::StrFormat("efficiency: %.3f    # was %.3f\nlatency: %.2f us    # was %.2f us\nconfidence: calibrated\n",
                                 fit.after.efficiency, fit.before.efficiency, fit.after.latency.value() * 1e6,
                                 fit.before.latency.value() * 1e6);
  return kExitDone;
}

}  // namespace simulate
