#include "http/nodes/passed_on.hpp"

#include "http/codec/base64.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::nodes {

using nlohmann::json;

namespace {

json to_json(const principal& who) { return json::array({who.tenant.value, who.sandbox.value, who.admin}); }

principal principal_of(const json& from) {
  principal who{tenant_id{from.at(0).get<std::string>()}, sandbox_id{from.at(1).get<std::string>()}};
  who.admin = from.at(2).get<bool>();
  return who;
}

} // namespace

std::string to_field(const passed_on& known) {
  const auto& budget = known.budget;
  json all{{"caller", to_json(known.caller)},
           {"inside", to_json(known.inside)},
           {"address", known.address},
           {"port", known.arrival_port},
           {"request", known.request_id},
           {"host", known.host},
           {"budget", json::array({budget.limit, budget.remaining, budget.reset})}};
  return codec::base64_encode(all.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::optional<passed_on> read_field(std::string_view value) {
  auto text = codec::base64_decode(value);
  if (!text)
    return std::nullopt;
  try {
    auto all = json::parse(*text);
    passed_on known;
    known.caller = principal_of(all.at("caller"));
    known.inside = principal_of(all.at("inside"));
    known.address = all.at("address").get<std::string>();
    known.arrival_port = all.at("port").get<std::uint16_t>();
    known.request_id = all.at("request").get<std::string>();
    known.host = all.at("host").get<std::string>();
    const auto& budget = all.at("budget");
    budget.at(0).get_to(known.budget.limit);
    budget.at(1).get_to(known.budget.remaining);
    budget.at(2).get_to(known.budget.reset);
    return known;
  } catch (const json::exception&) { // only a node of another version would say so
    return std::nullopt;
  }
}

} // namespace sandy::http::nodes
