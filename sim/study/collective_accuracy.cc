#include "sim/study/collective_accuracy.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace simulate {
namespace {

// One line of RFC 4180 without line breaks inside quotes.
std::vector<std::string> SplitCsvLine(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[i++];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else if (line[i] != '\r') {
      fields.back() += line[i];
    }
  }
  return fields;
}

std::optional<CollectiveOp> OpByName(const std::string& name) {
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
                                CollectiveOp::kBroadcast, CollectiveOp::kReduce, CollectiveOp::kAllToAll, CollectiveOp::kSendRecv}) {
    if (name == Name(op)) return op;
  }
  return std::nullopt;
}

// A machine with the model over it, made once per (hardware, accelerators).
struct PricedMachine {
  HardwareSpec hardware;
  Topology topology;
  CollectiveModel model;
  PricedMachine(HardwareSpec h, int64_t gpus) : hardware(std::move(h)), topology(hardware, gpus), model(hardware, topology) {}
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

}  // namespace

double MeasuredCollective::Error() const {
  return std::max(predicted.time, host_floor).value() / measured.value() - 1.0;
}

std::vector<MeasuredCollective> PriceMeasured(const std::string& csv_path, const SearchPath& search,
                                              Diagnostics& diagnostics) {
  std::ifstream file(csv_path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    diagnostics.Error(absl::StrCat("cannot read `", csv_path, "`"));
    return {};
  }
  std::map<std::pair<std::string, int64_t>, std::unique_ptr<PricedMachine>> machines;
  std::vector<MeasuredCollective> rows;
  for (int number = 2; std::getline(file, line); ++number) {
    const std::vector<std::string> f = SplitCsvLine(line);
    const std::optional<CollectiveOp> op = f.size() == 9 ? OpByName(f[3]) : std::nullopt;
    if (!op) {
      diagnostics.Error("not a row of measured collectives", {csv_path, number, 1, 0})
          .help.emplace_back("columns: class,hardware,gpus,op,bytes,time_us,host_floor_us,run,source");
      return {};
    }
    MeasuredCollective row{f[0], f[1], std::atoll(f[2].c_str()), *op, Bytes(static_cast<int64_t>(std::atoll(f[4].c_str()))),
                           Microseconds(std::atof(f[5].c_str())), Microseconds(std::atof(f[6].c_str())), f[7], f[8], {}};
    auto& machine = machines[{row.hardware, row.gpus}];
    if (!machine) {
      const std::optional<HardwareSpec> hardware = LoadHardware(row.hardware, search, diagnostics);
      if (!hardware) return {};
      machine = std::make_unique<PricedMachine>(*hardware, row.gpus);
    }
    row.predicted = CollectiveTable(machine->topology, machine->model, row.op, row.gpus, {row.bytes}).front();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<ClassAccuracy> Summarise(const std::vector<MeasuredCollective>& rows) {
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> errors;
  for (const MeasuredCollective& r : rows) {
    auto& [large, small] = errors[r.machine_class];
    (r.bytes.value() >= kLargeCollective ? large : small).push_back(std::abs(r.Error()));
  }
  std::vector<ClassAccuracy> classes;
  for (const auto& [name, both] : errors) {
    const auto& [large, small] = both;
    double sum = 0.0;
    for (const double e : large) sum += e;
    classes.push_back({name, static_cast<int>(large.size()), static_cast<int>(small.size()), Median(large), Median(small),
                       large.empty() ? 0.0 : sum / static_cast<double>(large.size())});
  }
  return classes;
}

}  // namespace simulate
