#include "messages/image_names.hpp"

#include "messages/image.hpp"

#include <algorithm>
#include <cctype>
#include <regex>

namespace sandy {

namespace {

/// Longer texts are not looked at: the expressions below are for short ones.
constexpr std::size_t longest_reference = 255;
constexpr std::string_view latest = ":latest";

/// The grammar of the distribution specification, but that a registry is named.
const std::regex& reference_pattern() {
  static const std::regex pattern{
      R"(((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?)/)"
      R"(([a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*))"
      R"((?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?)"};
  return pattern;
}

/// One spelling for each name: tags that are the usual one are told of references and of nothing else.
std::string spelled(std::string_view name) {
  if (auto reference = parse_image_reference(name))
    return reference->text();
  if (name.ends_with(latest))
    name.remove_suffix(latest.size());
  return std::string{name};
}

} // namespace

std::string image_reference::text() const {
  return registry + "/" + path + (digest.empty() ? ":" + tag : "@" + digest);
}

std::optional<image_reference> parse_image_reference(std::string_view text) {
  if (text.size() > longest_reference || text.find('/') == std::string_view::npos)
    return std::nullopt;
  auto plain = std::string{text};
  auto host_end = std::find(plain.begin(), plain.end(), '/');
  std::transform(plain.begin(), host_end, plain.begin(), [](unsigned char c) { return std::tolower(c); });
  std::smatch parts;
  if (!std::regex_match(plain, parts, reference_pattern()))
    return std::nullopt;
  image_reference found{parts[1], parts[2], parts[3], parts[4]};
  if (found.registry.find_first_of(".:") == std::string::npos && found.registry != "localhost")
    return std::nullopt;
  if (!found.digest.empty()) // it says more than a tag does
    found.tag.clear();
  else if (found.tag.empty())
    found.tag = latest.substr(1);
  if (!is_image_name(store_name(found)))
    return std::nullopt;
  return found;
}

std::string store_name(const image_reference& reference) {
  // What a name cannot have becomes '_' and something that tells it from the others.
  std::string name;
  for (unsigned char c : reference.text())
    if (c == '/')
      name += "__";
    else if (c == ':')
      name += "_.";
    else if (c == '@')
      name += "_-";
    else if (c == '_' || std::isupper(c)) {
      constexpr std::string_view digits = "0123456789abcdef";
      name.append({'_', digits[c >> 4], digits[c & 15]});
    } else {
      name += static_cast<char>(c);
    }
  return name;
}

image_names::image_names(std::map<std::string, std::string> aliases)
    : aliases_(std::move(aliases)) {
  for (const auto& [alias, means] : aliases_)
    meanings_.emplace(spelled(alias), means);
  for (const auto& [alias, means] : aliases_)
    by_image_.emplace(resolve(alias), alias);
}

/// What the configuration says that a name means; what it says nothing of is itself.
std::string image_names::unaliased(std::string_view name) const {
  auto plain = spelled(name);
  auto found = meanings_.find(plain);
  return found == meanings_.end() ? plain : spelled(found->second);
}

std::string image_names::resolve(std::string_view name) const {
  auto meant = unaliased(name);
  auto reference = parse_image_reference(meant);
  return reference ? store_name(*reference) : meant;
}

std::optional<image_reference> image_names::reference_of(std::string_view name) const {
  return parse_image_reference(unaliased(name));
}

std::vector<std::string> image_names::aliases_of(const std::string& image) const {
  std::vector<std::string> all;
  for (auto [each, end] = by_image_.equal_range(image); each != end; ++each)
    all.push_back(each->second);
  return all;
}

} // namespace sandy
