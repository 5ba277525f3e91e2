#include "sim/config/read_cluster.h"

#include "sim/config/read_accelerator.h"

namespace simulate {

// Placeholder: accelerator and node size only. The cluster room's owner replaces this file.
bool ReadHardwareFile(ValueReader& root, FileLoader& loader, HardwareSpec* out) {
  return root.ReadMap([&](MapReader& r) {
    r.Required("name", &out->name);
    r.Value("accelerator", [&](ValueReader& v) {
      loader.Follow(v, "hardware/accelerators", [&](ValueReader& m) { return ReadAccelerator(m, &out->accelerator); });
    }, true);
    r.Map("node", [&](MapReader& n) { n.Integer("accelerators", 1, 1024, &out->node.accelerators); });
    r.Ignore("fabric");
  });
}

}  // namespace simulate
