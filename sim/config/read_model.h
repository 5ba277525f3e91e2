// Reads a model: Hugging Face's config.json keys, with the defaults of its `model_type`.
//
// A config.json can be read as it is: keys that say nothing about time or memory are let through.
#pragma once

#include <map>
#include <string>

#include "sim/config/reader.h"
#include "sim/spec/model.h"

namespace simulate {

// Where each key stands that was given, by its common name (`hidden_size`, also where the file says `n_embd`).
using KeyLocations = std::map<std::string, SourceLocation>;

// False after an error. `where` may be null.
bool ReadModel(ValueReader& value, const std::string& default_name, ModelSpec* out, KeyLocations* where);

}  // namespace simulate
