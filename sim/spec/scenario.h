// Everything a user asked for, typed and checked. Written by config/, read by everyone; no logic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/base/units.h"
#include "sim/spec/cluster.h"
#include "sim/spec/model.h"
#include "sim/spec/parallelism.h"
#include "sim/spec/training.h"

namespace simulate {

// A value of a swept or overridden dotted key, kept as its YAML text, e.g. {"cluster.gpus", "512"}.
using Setting = std::pair<std::string, std::string>;

// `perturb: {rank: 3, compute: 0.8}` runs rank 3's kernels at 0.8 of their speed.
struct Perturbation {
  int64_t rank = -1;
  double compute = 1.0;
  std::string link;            // a link's name, or `from -> to`
  double bandwidth = 1.0;      // share of the link's bandwidth that is left; 0: failed
  SourceLocation where;        // in the scenario
};

// How collectives are timed: by their closed forms, or by a replay of every message of theirs.
enum class Fidelity : uint8_t { kFlows, kMessages };

struct ReferencePoint {
  std::string id;              // of its row in a reference table; empty: written in the scenario
  std::vector<Setting> where;
  std::string metric;          // a numeric key of the result, e.g. hardware_tflops_per_gpu, or `status`
  double value = 0.0;          // in the metric's unit; status: 0 ok, 1 out_of_memory
  double tolerance = 0.0;      // relative, 0.05 is 5 %; 0: not held
  std::string note;
  std::string source;          // empty: the block's
};

// A row of a reference table that is not run, and why.
struct ExcludedRow {
  std::string id;
  std::string reason;
};

struct ReferenceSpec {
  std::string source;
  std::vector<ReferencePoint> points;
  std::vector<ExcludedRow> excluded;
};

struct ReliabilitySpec {
  Seconds mean_time_between_failures_per_node;  // 0: not stated
  Seconds checkpoint_interval;                  // 0: Young/Daly's optimum
  Seconds checkpoint_time;
  Seconds restart_time;
};

// One point of a study: a model, a cluster and a way to train the one on the other.
struct Scenario {
  std::string title;
  std::string file;
  ModelSpec model;
  HardwareSpec hardware;
  int64_t gpus = 0;
  TrainingSpec training;
  ParallelismSpec parallelism;
  std::vector<Perturbation> perturb;
  Fidelity fidelity = Fidelity::kFlows;
  ReliabilitySpec reliability;
  uint64_t seed = 1;
  std::vector<Setting> settings;   // the swept keys that made this point
  std::vector<size_t> reference;   // the points of Study::reference that this point is held to
};

// A file that was read, with a hash of what was in it.
struct InputFile {
  std::string path;
  uint64_t hash = 0;
};

// A scenario file: its points in sweep order, and the measurements they are held to.
struct Study {
  std::string title;
  std::string file;
  std::vector<Scenario> points;
  ReferenceSpec reference;
  std::vector<InputFile> files;  // everything that was read, in order
};

}  // namespace simulate
