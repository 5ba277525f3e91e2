#include "sim/study/measurements.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "sim/spec/kernel_names.h"

namespace simulate {
namespace {

using Json = nlohmann::json;

int64_t Int(const Json& row, const char* key) { return row.at(key).get<int64_t>(); }
Seconds Time(const Json& row, const char* key) { return Microseconds(row.value(key, 0.0)); }

DType TypeOf(const Json& row) {
  const std::string name = row.at("dtype").get<std::string>();
  for (const DType type : {DType::kFp32, DType::kTf32, DType::kFp16, DType::kBf16, DType::kFp8, DType::kInt8}) {
    if (name == Name(type)) return type;
  }
  throw std::invalid_argument(absl::StrCat("unknown dtype `", name, "`"));
}

KernelWork GemmWork(const Json& row) {
  KernelWork w;
  w.kind = KernelKind::kGemm;
  w.dtype = TypeOf(row);
  const std::string pass = row.at("pass").get<std::string>();
  w.gemm = {Int(row, "batch"), Int(row, "m"), Int(row, "n"), Int(row, "k"),
            pass == "data_gradient"     ? GemmPass::kDataGradient
            : pass == "weight_gradient" ? GemmPass::kWeightGradient
                                        : GemmPass::kForward};
  w.flops = Flops(2.0 * static_cast<double>(w.gemm.batch) * static_cast<double>(w.gemm.m) * static_cast<double>(w.gemm.n) *
                  static_cast<double>(w.gemm.k));
  return w;
}

KernelWork AttentionWork(const Json& row) {
  KernelWork w;
  w.kind = KernelKind::kAttention;
  w.dtype = TypeOf(row);
  AttentionShape& s = w.attention;
  s.batch = Int(row, "batch");
  s.query_heads = Int(row, "query_heads");
  s.key_value_heads = Int(row, "key_value_heads");
  s.query_length = s.key_length = Int(row, "length");
  s.head_dim = Int(row, "head_dim");
  s.causal = row.at("causal").get<bool>();
  s.backward = row.at("direction").get<std::string>() == "backward";
  const std::string kernel = row.at("kernel").get<std::string>();
  s.kernel = kernel == "memory_efficient" ? AttentionKernel::kMemoryEfficient
             : kernel == "flash2"         ? AttentionKernel::kFlash2
                                          : AttentionKernel::kFlash;
  return w;
}

KernelWork MemoryWork(const Json& row) {
  KernelWork w;
  w.kind = KernelKind::kMemory;
  w.dtype = TypeOf(row);
  const std::string access = row.at("access").get<std::string>();
  bool known = false;
  for (const auto& [name, value] : kAccessNames) {
    if (access == name) w.access = value, known = true;
  }
  if (!known) throw std::invalid_argument(absl::StrCat("unknown access `", access, "`"));
  w.rows = Int(row, "rows");
  w.columns = Int(row, "columns");
  w.read = Bytes(Int(row, "read"));
  w.written = Bytes(Int(row, "written"));
  return w;
}

std::vector<KernelWork> WorksOf(const std::string& kind, const Json& row) {
  if (kind == "gemm") return {GemmWork(row)};
  if (kind == "attention") return {AttentionWork(row)};
  if (!row.contains("kernels")) return {MemoryWork(row)};
  std::vector<KernelWork> works;
  for (const Json& kernel : row.at("kernels")) works.push_back(MemoryWork(kernel));
  if (works.empty()) throw std::invalid_argument("a call without kernels");
  return works;
}

std::string NameOf(const Measurement& m) {
  const KernelWork& w = m.works.front();
  if (w.kind == KernelKind::kGemm) {
    constexpr std::array<const char*, 3> kPasses = {"forward", "data gradient", "weight gradient"};
    const std::string batch = w.gemm.batch > 1 ? absl::StrCat(w.gemm.batch, " x ") : "";
    return absl::StrCat(Name(w.dtype), " ", batch, w.gemm.m, " x ", w.gemm.n, " x ", w.gemm.k, " ",
                        kPasses[static_cast<int>(w.gemm.pass)]);
  }
  if (w.kind == KernelKind::kAttention) {
    const AttentionShape& s = w.attention;
    return absl::StrCat(kAttentionNames[static_cast<int>(s.kernel)], s.backward ? " backward" : " forward", s.causal ? " causal " : " ",
                        s.batch, " x ", s.query_heads, " x ", s.query_length, " x ", s.head_dim);
  }
  return absl::StrCat(m.name, " ", w.rows, " x ", w.columns);
}

// An empty kind: the row is to be skipped.
Measurement RowOf(const Json& row) {
  Measurement m;
  const std::string kind = row.at("kind").get<std::string>();
  if (row.contains("error")) return m;
  const bool kernels = kind == "gemm" || kind == "attention" || (kind == "memory" && row.value("access", "-") != "");
  if (!kernels && kind != "contention" && kind != "host") return m;
  m.series = row.value("series", "run");
  m.name = row.value("name", "");
  m.isolated = Time(row, "isolated_us");
  m.stream = Time(row, "stream_us");
  if (kind == "host") {
    m.host = Time(row, "us");
  } else if (kind == "contention") {
    m.works = WorksOf(row.at("of").get<std::string>(), row);
    m.cores = static_cast<int>(Int(row, "cores"));
    m.traffic = BytesPerSecond(row.at("traffic").get<double>());
    m.kernel_slowdown = row.at("kernel_slowdown").get<double>();
    m.collective_slowdown = row.at("collective_slowdown").get<double>();
  } else {
    m.works = WorksOf(kind, row);
    m.name = NameOf(m);
  }
  m.kind = kind;
  return m;
}

}  // namespace

std::optional<MeasurementSet> ParseMeasurements(const std::string& text, const std::string& file, Diagnostics& diagnostics) {
  MeasurementSet set;
  size_t index = 0;
  try {
    const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || !document.contains("schema") || !document.contains("rows")) {
      diagnostics.Error(absl::StrCat("`", file, "` holds no measurements")).help.emplace_back("tools/calibrate/measure.py writes them");
      return std::nullopt;
    }
    if (document.at("schema").get<int>() != 1) {
      diagnostics.Error("unknown version of the measurements").help.push_back("write them anew with tools/calibrate/measure.py");
      return std::nullopt;
    }
    set.device = document.at("device").get<std::string>();
    for (const Json& row : document.at("rows")) {
      Measurement m = RowOf(row);
      if (!m.kind.empty()) set.rows.push_back(std::move(m));
      ++index;
    }
  } catch (const Json::exception& error) {
    diagnostics.Error(absl::StrCat("cannot read measurements: row ", index + 1, ": ", error.what()), {file, 0, 0, 0});
    return std::nullopt;
  } catch (const std::invalid_argument& error) {
    diagnostics.Error(absl::StrCat("cannot read measurements: row ", index + 1, ": ", error.what()), {file, 0, 0, 0});
    return std::nullopt;
  }
  return set;
}

}  // namespace simulate
