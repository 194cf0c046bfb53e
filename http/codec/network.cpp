#include "http/codec/network.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/quantity.hpp"

namespace sandy::http::codec {

namespace {

using nlohmann::json;

void read_mode(field_reader& fields, const json& value, network_policy& policy) {
  auto mode =
      value.is_string() ? network_mode_of(lower(trim(value.get_ref<const std::string&>()))) : std::nullopt;
  if (mode)
    policy.mode = *mode;
  else
    fields.refuse(errc::invalid_argument, "network.mode must be none, platform or internet");
}

void read_destinations(field_reader& outer, field_reader& fields, std::string_view name,
                       std::vector<std::string>& into) {
  const auto* value = fields.find({name});
  if (value == nullptr)
    return;
  auto wrong = [&] {
    outer.refuse(errc::validation_failed, "network." + std::string{name} + " must be a list of destinations");
  };
  if (!value->is_array())
    return wrong();
  for (const auto& each : *value) {
    if (!each.is_string())
      return wrong();
    into.push_back(lower(trim(each.get_ref<const std::string&>())));
  }
}

network_policy read_object(field_reader& outer, const json& object) {
  network_policy policy;
  field_reader fields{object, "network."};
  if (const auto* mode = fields.find({"mode"}))
    read_mode(outer, *mode, policy);
  read_destinations(outer, fields, "allow", policy.allow);
  read_destinations(outer, fields, "deny", policy.deny);
  if (const auto* bound = fields.find({"max_bytes", "maxBytes"})) {
    auto bytes = bound->is_number() || bound->is_string() ? parse_bytes(*bound) : std::nullopt;
    if (bytes)
      policy.max_bytes = *bytes;
    else
      outer.refuse(errc::invalid_argument, "network.max_bytes must be an amount such as 1000000 or \"4Gi\"");
  }
  if (auto good = check(policy); !good)
    outer.refuse(code_of(good.error()), "network: " + text_of(good.error()));
  return policy;
}

} // namespace

network_policy read_network(field_reader& fields) {
  network_policy policy;
  const auto* value = fields.find({"network"});
  if (value == nullptr)
    return policy;
  if (value->is_object())
    return read_object(fields, *value);
  if (value->is_string())
    read_mode(fields, *value, policy);
  else
    fields.refuse(errc::validation_failed, "network must be the name of a mode or an object");
  return policy;
}

result<network_policy> parse_network(const json& body) {
  field_reader fields{body};
  auto policy = body.contains("network") ? read_network(fields) : read_object(fields, body);
  if (fields.failed())
    return fields.error();
  return policy;
}

json to_json(const network_policy& policy) {
  return {{"mode", to_string(policy.mode)},
          {"allow", policy.allow},
          {"deny", policy.deny},
          {"max_bytes", policy.max_bytes},
          {"maxBytes", policy.max_bytes}};
}

json to_json(const network_report& report) {
  auto body = to_json(report.policy);
  const auto& usage = report.usage;
  body["usage"] = {{"sent_bytes", usage.sent_bytes},
                   {"sentBytes", usage.sent_bytes},
                   {"received_bytes", usage.received_bytes},
                   {"receivedBytes", usage.received_bytes},
                   {"connections", usage.connections},
                   {"connections_refused", usage.refused},
                   {"connectionsRefused", usage.refused},
                   {"connections_open", usage.open},
                   {"connectionsOpen", usage.open},
                   {"names_asked", usage.names},
                   {"namesAsked", usage.names},
                   {"names_refused", usage.names_refused},
                   {"namesRefused", usage.names_refused},
                   {"spent", usage.spent}};
  return body;
}

} // namespace sandy::http::codec
