// schema/*.json, which editors complete and check YAML files with, agrees with the readers: it accepts every file in the
// repository, it knows exactly the keys that the readers know, and what the readers refuse for its kind it refuses too.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/quantity_text.h"
#include "sim/config/config.h"
#include "sim/config/parse.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kRoot = SIMULATE_SOURCE_DIR;

std::string ReadText(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

const Json& Schema(const std::string& file) {
  static std::map<std::string, Json> cache;
  if (!cache.contains(file)) cache[file] = Json::parse(ReadText(kRoot / "schema" / file));
  return cache[file];
}

// The schema that `$ref` names, and the file that it stands in.
std::pair<const Json*, std::string> Follow(const Json& schema, const std::string& file) {
  if (!schema.contains("$ref")) return {&schema, file};
  const std::string ref = schema["$ref"];
  const size_t hash = std::min(ref.find('#'), ref.size());
  const std::string target = hash == 0 ? file : ref.substr(0, hash);
  const Json& document = Schema(target);
  return {hash < ref.size() ? &document.at(Json::json_pointer(ref.substr(hash + 1))) : &document, target};
}

Json ToJson(const Node& node) {
  double number = 0.0;
  switch (node.kind) {
    case Node::Kind::kNull: return nullptr;
    case Node::Kind::kScalar:
      if (node.quoted) return node.text;
      if (node.text == "true" || node.text == "false") return node.text == "true";
      if (!ParseNumber(node.text, &number)) return node.text;
      return node.text.find_first_of(".eE") == std::string::npos ? Json(std::stoll(node.text)) : Json(number);
    case Node::Kind::kList: {
      Json list = Json::array();
      for (const Node& item : node.items) list.push_back(ToJson(item));
      return list;
    }
    case Node::Kind::kMap: {
      Json map = Json::object();
      for (const Node::Entry& entry : node.entries) map[entry.key] = ToJson(entry.value);
      return map;
    }
  }
  return nullptr;
}

bool HasType(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  FAIL("unknown type " << type);
  return false;
}

// The part of JSON Schema that our files use. Empty, or the first thing that is wrong.
std::string Check(const Json& value, const Json& unresolved, const std::string& in_file, const std::string& path);

std::string CheckObject(const Json& value, const Json& schema, const std::string& file, const std::string& path) {
  for (const Json& key : schema.value("required", Json::array())) {
    if (!value.contains(key)) return path + " lacks " + key.get<std::string>();
  }
  const Json properties = schema.value("properties", Json::object());
  const Json rest = schema.value("additionalProperties", Json(true));
  for (const auto& [key, child] : value.items()) {
    const std::string at = path + "." + key;
    if (rest.is_boolean() && !properties.contains(key)) {
      if (!rest.get<bool>()) return at + " is not known";
      continue;
    }
    const std::string wrong = Check(child, properties.contains(key) ? properties[key] : rest, file, at);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string Check(const Json& value, const Json& unresolved, const std::string& in_file, const std::string& path) {
  const auto [found, file] = Follow(unresolved, in_file);
  const Json& schema = *found;
  if (schema.contains("anyOf")) {
    std::string all;
    for (const Json& option : schema["anyOf"]) {
      const std::string wrong = Check(value, option, file, path);
      if (wrong.empty()) return "";
      all += " | " + wrong;
    }
    return all;
  }
  if (schema.contains("enum")) {
    const Json& names = schema["enum"];
    return std::find(names.begin(), names.end(), value) != names.end() ? "" : path + " is none of " + names.dump();
  }
  if (schema.contains("type")) {
    const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const Json& t) { return HasType(value, t); })) {
      return path + " is not " + types.dump() + ": " + value.dump();
    }
  }
  if (value.is_number() && schema.contains("minimum") && value < schema["minimum"]) return path + " is too small";
  if (value.is_number() && schema.contains("maximum") && value > schema["maximum"]) return path + " is too large";
  if (value.is_string() && schema.contains("pattern") &&
      !std::regex_search(value.get<std::string>(), std::regex(schema["pattern"].get<std::string>()))) {
    return path + " does not look like " + schema["pattern"].get<std::string>();
  }
  if (value.is_array()) {
    if (value.size() < schema.value("minItems", size_t{0})) return path + " is too short";
    for (size_t i = 0; i < value.size() && schema.contains("items"); ++i) {
      const std::string wrong = Check(value[i], schema["items"], file, path + "[" + std::to_string(i) + "]");
      if (!wrong.empty()) return wrong;
    }
  }
  return value.is_object() ? CheckObject(value, schema, file, path) : "";
}

std::string CheckFile(const fs::path& path, const std::string& schema) {
  Diagnostics diagnostics;
  Node node;
  if (!ParseYaml(path.string(), ReadText(path), diagnostics, &node)) return diagnostics.Render();
  return Check(ToJson(node), Schema(schema), schema, path.stem().string());
}

TEST_CASE("the schema accepts every file in the repository") {
  const std::vector<std::pair<std::string, std::string>> folders = {
      {"models", "model.json"},       {"hardware", "hardware.json"},     {"hardware/accelerators", "accelerator.json"},
      {"hardware/nodes", "node.json"}, {"hardware/fabrics", "fabric.json"}, {"scenarios", "scenario.json"},
      {"scenarios/validation", "scenario.json"}};
  for (const auto& [folder, schema] : folders) {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(kRoot / folder)) {
      if (entry.path().extension() != ".yaml") continue;
      INFO(entry.path().string());
      CHECK(CheckFile(entry.path(), schema) == "");
      ++files;
    }
    CHECK(files > 0);
  }
}

TEST_CASE("the schema refuses what is of the wrong kind") {
  const fs::path errors = kRoot / "tests/config/errors";
  for (const char* name : {"unknown_key", "unknown_key_far", "missing_unit", "wrong_unit", "wrong_kind", "out_of_range",
                           "quoted_number", "not_whole", "boolean", "bad_name", "model_type", "sweep_not_a_list",
                           "reference", "negative_quantity", "too_many_gpus", "perturb_rank"}) {
    INFO(name);
    const bool refused = CheckFile(errors / (std::string(name) + ".yaml"), "scenario.json") != "";
    CHECK(refused == (std::string(name) != "perturb_rank"));  // which only the number of accelerators shows
  }
}

// The keys that a reader names when it meets an unknown one at `path` (dotted) of a scenario.
std::set<std::string> KeysOfReader(const std::string& path, const std::string& model) {
  Diagnostics diagnostics;
  const std::string text = "model: " + model +
                           "\ncluster: {hardware: tiny, gpus: 8}\ntraining: {micro_batch_size: 1, sequence_length: 64}\n"
                           "reliability: {}\nperturb: {rank: 0}\nreference: {source: x, points: []}\n";
  const SearchPath search{{SIMULATE_SOURCE_DIR "/tests/config/fixture"}};
  const std::string key = (path.empty() ? "" : path + ".") + "qqqqqqqqqqqq";
  (void)LoadStudyText("keys.yaml", text, search, {{key, "1"}}, diagnostics);
  const std::string mark = "keys that may stand here: ";
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.help.empty() || d.message.find("qqqqqqqqqqqq") == std::string::npos) continue;
    std::istringstream list(d.help[0].substr(mark.size()));
    std::set<std::string> keys;
    for (std::string name; list >> name;) {
      if (name != "...") keys.insert(name.back() == ',' ? name.substr(0, name.size() - 1) : name);
    }
    return keys;
  }
  return {};
}

std::set<std::string> KeysOfSchema(const std::string& file, const std::string& pointer) {
  std::set<std::string> keys;
  for (const auto& [key, value] : Schema(file).at(Json::json_pointer(pointer)).at("properties").items()) keys.insert(key);
  return keys;
}

TEST_CASE("schema and readers know the same keys") {
  const std::vector<std::tuple<std::string, std::string, std::string>> places = {
      {"", "scenario.json", ""},
      {"cluster", "scenario.json", "/properties/cluster"},
      {"training", "scenario.json", "/properties/training"},
      {"training.precision", "scenario.json", "/properties/training/properties/precision/anyOf/1"},
      {"training.activation_checkpointing", "scenario.json",
       "/properties/training/properties/activation_checkpointing/anyOf/1"},
      {"parallelism", "scenario.json", "/properties/parallelism"},
      {"parallelism.data", "scenario.json", "/properties/parallelism/properties/data/anyOf/1"},
      {"parallelism.pipeline", "scenario.json", "/properties/parallelism/properties/pipeline/anyOf/1"},
      {"reference", "scenario.json", "/properties/reference"},
      {"perturb", "scenario.json", "/properties/perturb/anyOf/0"},
      {"reliability", "scenario.json", "/properties/reliability"},
      {"cluster.hardware", "hardware.json", ""},
      {"cluster.hardware.accelerator", "accelerator.json", ""},
      {"cluster.hardware.accelerator.peak", "accelerator.json", "/properties/peak"},
      {"cluster.hardware.node", "node.json", ""},
      {"cluster.hardware.node.nic", "common.json", "/$defs/link"},
      {"cluster.hardware.fabric", "fabric.json", ""}};
  for (const auto& [path, file, pointer] : places) {
    INFO("at `" << path << "`");
    CHECK(KeysOfReader(path, "gpt-tiny") == KeysOfSchema(file, pointer));
  }
}

TEST_CASE("the schema of models knows every family's keys") {
  // Readers name at most 40 keys; those that matter come first.
  std::set<std::string> known;
  for (const char* family : {"gpt2", "gpt_neox", "mpt", "llama", "mistral", "qwen2", "qwen3", "mixtral", "deepseek_v3", "t5"}) {
    const std::string model = std::string("{model_type: ") + family + "}";
    const std::set<std::string> keys = KeysOfReader("model", model);
    CHECK(keys.size() > 20);
    known.insert(keys.begin(), keys.end());
  }
  const std::set<std::string> schema = KeysOfSchema("model.json", "");
  for (const std::string& key : known) {
    INFO(key);
    CHECK(schema.contains(key));
  }
  for (const auto& [key, value] : Schema("model.json")["properties"].items()) {
    const std::string text = value.value("description", "");
    const bool harmless = text == "config.json: without effect" || key == "source" || key == "description";
    INFO(key);
    CHECK((harmless || known.contains(key)));
  }
}

TEST_CASE("the reference of keys says what the schema says") {
  const std::string page = ReadText(kRoot / "docs/SCENARIO.md");
  for (const char* file : {"scenario.json", "model.json", "hardware.json", "accelerator.json", "node.json", "fabric.json"}) {
    for (const auto& [key, value] : Schema(file)["properties"].items()) {
      INFO(file << ": " << key);
      CHECK(page.find("`" + key + "`") != std::string::npos);
      const std::string description = value.value("description", "");
      if (description != "config.json: without effect") CHECK(page.find(description) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace simulate
