#include "http/codec/connections.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"

#include <boost/asio/ip/address_v4.hpp>

namespace sandy::http::codec {

using nlohmann::json;

result<sandbox_id> parse_target(const json& body) {
  field_reader fields{body};
  auto target = fields.text({"target", "target_id", "targetId", "sandboxId", "sandbox_id"});
  if (!target)
    fields.missing("target");
  if (fields.failed())
    return fields.error();
  if (!is_sandbox_id(*target))
    return no_such_sandbox();
  return sandbox_id{std::move(*target)};
}

json to_json(const sandbox_connection& connection, const sandbox_id& seen_from) {
  auto created = iso_time(connection.created_at);
  return {{"source", connection.source.value},
          {"sourceId", connection.source.value},
          {"source_id", connection.source.value},
          {"target", connection.target.value},
          {"targetId", connection.target.value},
          {"target_id", connection.target.value},
          {"direction", connection.source == seen_from ? "outbound" : "inbound"},
          {"name", connection.target.value},
          {"address", boost::asio::ip::address_v4{connection.address}.to_string()},
          {"createdAt", created},
          {"created_at", created}};
}

json to_json(const std::vector<sandbox_connection>& all, const sandbox_id& seen_from) {
  auto list = json::array();
  for (const auto& each : all)
    list.push_back(to_json(each, seen_from));
  return {{"total", list.size()}, {"connections", std::move(list)}};
}

json disconnected_json(const sandbox_id& source, const sandbox_id& target) {
  return {{"status", "disconnected"},  {"ok", true},
          {"source", source.value},    {"sourceId", source.value},
          {"source_id", source.value}, {"target", target.value},
          {"targetId", target.value},  {"target_id", target.value}};
}

} // namespace sandy::http::codec
