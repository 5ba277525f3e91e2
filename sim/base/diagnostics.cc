#include "sim/base/diagnostics.h"
