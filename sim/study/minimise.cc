#include "sim/study/minimise.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace simulate {
namespace {

using Point = std::vector<double>;
using Vertex = std::pair<double, Point>;

// origin + factor * (target - origin)
Point Along(const Point& origin, const Point& target, double factor) {
  Point out(origin.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = origin[i] + factor * (target[i] - origin[i]);
  return out;
}

Point Centroid(const std::vector<Vertex>& simplex) {
  Point out(simplex.front().second.size(), 0.0);
  for (size_t v = 0; v + 1 < simplex.size(); ++v) {
    for (size_t i = 0; i < out.size(); ++i) out[i] += simplex[v].second[i] / static_cast<double>(simplex.size() - 1);
  }
  return out;
}

Vertex Once(const Objective& objective, const Point& start, int evaluations, double least_step) {
  const double n = static_cast<double>(start.size());
  const double expand = 1 + 2 / n, contract = 0.75 - 1 / (2 * n), shrink = 1 - 1 / n;
  const auto evaluate = [&](Point p) { const double f = objective(p); return Vertex{f, std::move(p)}; };
  const auto by_value = [](const Vertex& a, const Vertex& b) { return a.first < b.first; };
  std::vector<Vertex> simplex = {evaluate(start)};
  for (size_t i = 0; i < start.size(); ++i) {
    Point p = start;
    p[i] += 0.2 * p[i] + least_step;
    simplex.push_back(evaluate(std::move(p)));
  }
  for (int used = static_cast<int>(simplex.size()); used < evaluations; ++used) {
    std::stable_sort(simplex.begin(), simplex.end(), by_value);
    Vertex& worst = simplex.back();
    const Point centre = Centroid(simplex);
    const Vertex reflected = evaluate(Along(centre, worst.second, -1.0));
    if (reflected.first < simplex.front().first) {
      const Vertex expanded = evaluate(Along(centre, reflected.second, expand));
      worst = expanded.first < reflected.first ? expanded : reflected;
      continue;
    }
    if (reflected.first < simplex[simplex.size() - 2].first) {
      worst = reflected;
      continue;
    }
    const Vertex& nearer = reflected.first < worst.first ? reflected : worst;
    const Vertex contracted = evaluate(Along(centre, nearer.second, contract));
    if (contracted.first < nearer.first) {
      worst = contracted;
      continue;
    }
    for (size_t v = 1; v < simplex.size(); ++v) {
      const double factor = n > 1 ? shrink : 0.5;
      simplex[v] = evaluate(Along(simplex.front().second, simplex[v].second, factor));
    }
  }
  return *std::min_element(simplex.begin(), simplex.end(), by_value);
}

}  // namespace

std::vector<double> Minimise(const Objective& objective, std::vector<double> start, int evaluations, int restarts,
                             double least_step) {
  for (int i = 0; i <= restarts; ++i) start = Once(objective, start, evaluations, least_step).second;
  return start;
}

}  // namespace simulate
