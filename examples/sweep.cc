// Uses the library instead of the program: reads a scenario, sweeps its micro-batch size, prints tokens per second.
//   sweep SCENARIO.yaml ROOT     where ROOT holds models/ and hardware/
#include <iostream>

#include "sim/config/config.h"
#include "sim/study/simulate.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: sweep SCENARIO.yaml ROOT\n";
    return 2;
  }
  simulate::Diagnostics diagnostics;
  const auto study = simulate::LoadStudy(argv[1], {{argv[2]}}, {}, diagnostics);
  std::cerr << diagnostics.Render();
  if (!study) return 2;

  std::vector<simulate::Scenario> points;
  for (const int64_t size : {1, 2, 4, 8}) {
    points.push_back(study->points.front());
    points.back().training.micro_batch_size = size;
  }
  const std::vector<simulate::Report> reports = simulate::SimulateAll(points, {}, 0);
  for (size_t i = 0; i < reports.size(); ++i) {
    std::cout << points[i].training.micro_batch_size << " sequences: ";
    if (reports[i].out_of_memory) {
      std::cout << "out of memory\n";
    } else {
      std::cout << reports[i].tokens_per_s << " tokens/s\n";
    }
  }
}
