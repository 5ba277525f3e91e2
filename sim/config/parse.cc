#include "sim/config/parse.h"

#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "sim/base/check.h"
#include "sim/base/quantity_text.h"

namespace simulate {
namespace {

// Thrown by Builder after it reported something that makes the rest of the file meaningless; caught in Parse.
struct StopParsing {};

// Where a text stops being UTF-8 (RFC 3629: no overlong forms, no surrogates); npos if it never does.
size_t FirstInvalidUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const auto continues = [&](size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    size_t length = 0;
    if (lead < 0x80) length = 1;
    if (lead >= 0xC2 && lead <= 0xDF && continues(1)) length = 2;
    if (lead >= 0xE0 && lead <= 0xEF && continues(1) && continues(2)) length = 3;
    if (lead >= 0xF0 && lead <= 0xF4 && continues(1) && continues(2) && continues(3)) length = 4;
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) length = 0;
    if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) length = 0;
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

// Builds the tree from yaml-cpp's events. Children are finished before they are attached to their parent.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string file, const std::string& text, Diagnostics& diagnostics)
      : file_(std::move(file)), lines_(absl::StrSplit(text, '\n')), diagnostics_(diagnostics) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::optional<Node>& root() { return root_; }

  SourceLocation Where(const YAML::Mark& mark, int length = 1) const {
    if (mark.is_null()) return {file_, 0, 0, 0};
    return {file_, mark.line + 1, mark.column + 1, length};  // yaml-cpp counts from 0
  }

  bool IndentedByTab(int line) const {
    if (line < 1 || static_cast<size_t>(line) > lines_.size()) return false;
    const std::string& text = lines_[static_cast<size_t>(line) - 1];
    const size_t end = std::min(text.find_first_not_of(" \t"), text.size());
    return text.find('\t') < end;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!root_) return;
    SourceLocation where = Where(mark, 3);
    // The mark is that of the document's first token; the separator stands before it.
    for (int line = std::min<int>(where.line, static_cast<int>(lines_.size())); line >= 1; --line) {
      if (lines_[static_cast<size_t>(line) - 1].substr(0, 3) != "---") continue;
      where = {file_, line, 1, 3};
      break;
    }
    Fail("a second document starts here", where).help.emplace_back("a file holds one document: remove the line `---`");
    throw StopParsing{};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RejectAnchor(mark, anchor);
    Node node;
    node.where = !stack_.empty() && stack_.back().key ? stack_.back().key->where : Where(mark);
    Attach(std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { RejectAnchor(mark, 1); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RejectAnchor(mark, anchor);
    Node node;
    node.kind = Node::Kind::kScalar;
    node.quoted = tag != "?";
    node.text = value;
    node.where = Where(mark, ScalarLength(mark, value));
    if (tag != "?" && tag != "!") RejectTag(node.where);
    Attach(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Open(Node::Kind::kList, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Open(Node::Kind::kMap, mark, tag, anchor, style);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    Node node;
    std::optional<Node> key;                   // read, and waiting for its value
    std::map<std::string, SourceLocation> keys;  // for duplicates
    bool drop = false;                         // the key was refused, so its value is not kept
  };

  Diagnostic& Fail(std::string message, const SourceLocation& where) {
    failed_ = true;
    return diagnostics_.Error(std::move(message), where);
  }
  void RejectAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    Fail("anchors and aliases (`&name`, `*name`) are not supported", Where(mark))
        .help.emplace_back("write the value out");
    throw StopParsing{};
  }
  void RejectTag(const SourceLocation& where) {
    Fail("tags (`!name`) are not supported", where).help.emplace_back("remove the tag");
    throw StopParsing{};
  }

  // Bytes that a scalar takes in its line, with its quotes.
  int ScalarLength(const YAML::Mark& mark, const std::string& value) const {
    const auto row = static_cast<size_t>(std::max(mark.line, 0));
    const auto column = static_cast<size_t>(std::max(mark.column, 0));
    if (row >= lines_.size() || column >= lines_[row].size()) return 1;
    const std::string& line = lines_[row];
    size_t end = column + value.size();
    if (line.compare(column, value.size(), value) != 0) {
      const char quote = line[column];
      const bool quoted = quote == '"' || quote == '\'';
      const size_t close = quoted ? line.find(quote, column + 1) : std::string::npos;
      end = close == std::string::npos ? line.size() : close + 1;
    }
    return static_cast<int>(std::max<size_t>(1, std::min(end, line.size()) - column));
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YAML::EmitterStyle::value style) {
    RejectAnchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!") RejectTag(Where(mark));
    if (stack_.size() >= static_cast<size_t>(kMaxDepth)) {
      Fail("nested too deeply", Where(mark)).label = absl::StrCat("at most ", kMaxDepth, " levels are read");
      throw StopParsing{};
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.where = Where(mark);
    // The mark of a block is that of its first entry; the key that owns it says more.
    const bool owned = !stack_.empty() && stack_.back().key.has_value();
    if (owned && style != YAML::EmitterStyle::Flow) frame.node.where = stack_.back().key->where;
    if (stack_.empty()) frame.node.where = {file_, 0, 0, 0};
    stack_.push_back(std::move(frame));
  }
  void Close() {
    SIM_CHECK(!stack_.empty(), "unbalanced YAML events");
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    Attach(std::move(node));
  }

  void Attach(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& top = stack_.back();
    if (top.node.kind == Node::Kind::kList) {
      top.node.items.push_back(std::move(node));
    } else if (!top.key) {
      AcceptKey(top, std::move(node));
    } else {
      if (!top.drop) top.node.entries.push_back({top.key->text, top.key->where, std::move(node)});
      top.key.reset();
      top.drop = false;
    }
  }

  void AcceptKey(Frame& top, Node key) {
    if (key.kind != Node::Kind::kScalar) {
      top.drop = true;
      Fail("a key must be plain text", key.where).label = absl::StrCat("this is ", Describe(key));
    } else if (key.text == "<<" && !key.quoted) {
      top.drop = true;
      Fail("merge keys (`<<`) are not supported", key.where).help.emplace_back("write the keys out");
    } else if (const auto [first, added] = top.keys.emplace(key.text, key.where); !added) {
      top.drop = true;
      Diagnostic& error = Fail(absl::StrCat("the key `", key.text, "` is given twice"), key.where);
      error.label = "second time";
      error.notes.push_back({"it is given here first", first->second});
    }
    top.key = std::move(key);
  }

  std::string file_;
  std::vector<std::string> lines_;
  Diagnostics& diagnostics_;
  std::vector<Frame> stack_;
  std::optional<Node> root_;
  bool failed_ = false;
};

// Our wording for the parser's complaints that people meet most.
void ReportSyntax(const YAML::Exception& exception, const SourceLocation& where, bool indented_by_tab,
                  Diagnostics& diagnostics) {
  const std::string what = absl::StrReplaceAll(exception.msg, {{"illegal", "unexpected"}});
  Diagnostic& error = diagnostics.Error("this is not valid YAML", where);
  error.label = what;
  if (indented_by_tab) {
    error.help.emplace_back("YAML is indented with spaces, and this line starts with a tab");
  } else if (exception.msg.find("illegal map value") != std::string::npos) {
    error.help.emplace_back("text that holds `: ` must stand in quotes");
  }
}

// The one place that meets yaml-cpp's exceptions.
bool Parse(const std::string& text, Builder& builder, Diagnostics& diagnostics) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const StopParsing&) {
    return false;
  } catch (const YAML::Exception& exception) {
    const SourceLocation where = builder.Where(exception.mark);
    ReportSyntax(exception, where, builder.IndentedByTab(where.line), diagnostics);
    return false;
  }
  return !builder.failed();
}

}  // namespace

bool CheckText(const std::string& file, const std::string& text, Diagnostics& diagnostics) {
  if (static_cast<int64_t>(text.size()) > kMaxFileBytes) {
    diagnostics.Error("this file is too large to be one of the simulator's", {file, 0, 0, 0})
        .help.push_back(absl::StrCat("at most ", FormatBinary(Bytes(kMaxFileBytes)), " are read"));
    return false;
  }
  const auto control = std::find_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F;
  });
  const size_t invalid = FirstInvalidUtf8(text);
  const auto bad = std::min(invalid, static_cast<size_t>(control - text.begin()));
  if (bad >= text.size()) return true;
  SourceLocation where{file, 1, 1, 1};
  where.line += static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'));
  const size_t newline = bad == 0 ? std::string::npos : text.rfind('\n', bad - 1);
  where.column = static_cast<int>(bad - (newline == std::string::npos ? 0 : newline + 1)) + 1;
  diagnostics.Error(bad == invalid ? "this file is not text in UTF-8" : "this file holds a control character, so it is not text",
                    where);
  return false;
}

bool ParseYaml(const std::string& file, const std::string& text, Diagnostics& diagnostics, Node* out) {
  const std::string body = text.substr(0, 3) == "\xEF\xBB\xBF" ? text.substr(3) : text;
  if (!CheckText(file, body, diagnostics)) return false;
  diagnostics.AddSource(file, body);
  Builder builder(file, body, diagnostics);
  if (!Parse(body, builder, diagnostics)) return false;
  if (!builder.root() || builder.root()->kind == Node::Kind::kNull) {
    diagnostics.Error("this file is empty", {file, 0, 0, 0});
    return false;
  }
  *out = *std::move(builder.root());
  return true;
}

namespace {

void MoveTo(const SourceLocation& where, Node* node) {
  node->where = where;
  for (Node& item : node->items) MoveTo(where, &item);
  for (Node::Entry& entry : node->entries) {
    entry.key_where = where;
    MoveTo(where, &entry.value);
  }
}

}  // namespace

bool ParseYamlValue(const std::string& text, const SourceLocation& where, Diagnostics& diagnostics, Node* out) {
  Diagnostics found;  // in terms of the text alone
  Builder builder(where.file, text, found);
  const bool ok = CheckText(where.file, text, found) && Parse(text, builder, found);
  if (!ok) {
    for (const Diagnostic& d : found.all()) {
      Diagnostic& error = diagnostics.Error(d.message, where);
      error.label = d.label;
      error.help = d.help;
    }
    return false;
  }
  *out = builder.root() ? *std::move(builder.root()) : Node{};
  MoveTo(where, out);
  return true;
}

}  // namespace simulate
