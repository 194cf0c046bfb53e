#include "http/codec/secrets.hpp"

#include "http/egress/host_pattern.hpp"

#include <algorithm>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

constexpr std::size_t longest_name = 256;

bool is_variable_name(std::string_view name) noexcept {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= longest_name && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// Whether it can be a header's value, or a part of one, and come out at the other end as it is.
bool fits_header(std::string_view value) noexcept {
  return !value.empty() && value.front() != ' ' && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) {
           auto byte = static_cast<unsigned char>(c);
           return byte >= ' ' && byte != 0x7f;
         });
}

void read_hosts(field_reader& fields, const std::string& where, std::vector<std::string>& hosts) {
  const auto* list = fields.find({"hosts"});
  auto wrong = [&] { fields.refuse(errc::validation_failed, where + ".hosts must be a list of host names"); };
  if (list == nullptr || !list->is_array())
    return wrong();
  if (list->empty() || list->size() > most_secret_hosts)
    return fields.refuse(errc::invalid_argument,
                         where + ".hosts must have 1 to " + std::to_string(most_secret_hosts) + " entries");
  for (const auto& each : *list) {
    if (!each.is_string())
      return wrong();
    auto& host = each.get_ref<const std::string&>();
    if (auto pattern = egress::parse_host_pattern(host); !pattern)
      return fields.refuse(errc::invalid_argument,
                           where + ".hosts has an entry that " + text_of(pattern.error()));
    hosts.push_back(host);
  }
}

void read_value(field_reader& fields, const std::string& where, hidden_text& value) {
  auto text = fields.find({"value"});
  if (text == nullptr || !text->is_string())
    return fields.refuse(errc::validation_failed, where + ".value must be a string");
  value.bytes = text->get<std::string>();
  if (value.bytes.size() > most_secret_bytes)
    fields.refuse(errc::invalid_argument, where + ".value is larger than 16 KiB");
  else if (!fits_header(value.bytes))
    fields.refuse(errc::invalid_argument, where +
                                              ".value cannot be put into a header: it is empty, begins or "
                                              "ends with a space, or has a line break or another control "
                                              "character");
}

/// @returns none when there is a mistake, which is recorded in `outer`.
std::optional<secret> read_one(field_reader& outer, std::string name, const json& object) {
  if (!is_variable_name(name)) {
    outer.refuse(errc::invalid_argument, "secrets has a name that no variable can have");
    return std::nullopt;
  }
  auto where = "secrets." + name;
  if (!object.is_object()) {
    outer.refuse(errc::validation_failed, where + " must be an object with value and hosts");
    return std::nullopt;
  }
  field_reader fields{object, where + "."};
  secret made;
  made.name = std::move(name);
  read_value(fields, where, made.value);
  read_hosts(fields, where, made.hosts);
  made.allow_http = fields.boolean({"allowHttp", "allow_http"}).value_or(false);
  if (fields.failed()) {
    outer.refuse(code_of(fields.error()), text_of(fields.error()));
    return std::nullopt;
  }
  return made;
}

} // namespace

std::vector<secret> read_secrets(field_reader& fields) {
  std::vector<secret> all;
  const auto* given = fields.find({"secrets"});
  if (given == nullptr)
    return all;
  if (!given->is_structured()) {
    fields.refuse(errc::validation_failed, "secrets must be an object or a list");
    return all;
  }
  if (given->size() > most_secrets) {
    fields.refuse(errc::invalid_argument,
                  "secrets has more than " + std::to_string(most_secrets) + " entries");
    return all;
  }
  auto add = [&](std::string name, const json& object) {
    auto one = read_one(fields, std::move(name), object);
    auto again = one && std::any_of(all.begin(), all.end(),
                                    [&](const secret& each) { return each.name == one->name; });
    if (again)
      fields.refuse(errc::invalid_argument, "secrets." + one->name + " is there twice");
    else if (one)
      all.push_back(std::move(*one));
  };
  for (const auto& [key, object] : given->items()) {
    if (fields.failed())
      return {};
    if (given->is_object())
      add(key, object);
    else if (object.is_object() && object.contains("name") && object["name"].is_string())
      add(object["name"].get<std::string>(), object);
    else
      fields.refuse(errc::validation_failed, "secrets must have a name in each of its entries");
  }
  return fields.failed() ? std::vector<secret>{} : all;
}

nlohmann::json to_json(const std::vector<secret_use>& secrets) {
  auto list = json::array();
  for (const auto& each : secrets)
    list.push_back({{"name", each.name},
                    {"hosts", each.hosts},
                    {"allowHttp", each.allow_http},
                    {"allow_http", each.allow_http}});
  return list;
}

} // namespace sandy::http::codec
