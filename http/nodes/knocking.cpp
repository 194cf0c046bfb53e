#include "http/nodes/knocking.hpp"

#include "http/client/call.hpp"
#include "http/context.hpp"
#include "http/exchange.hpp"
#include "http/request_head.hpp"
#include "http/target.hpp"
#include "messages/cluster.hpp"
#include "metrics/log.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::nodes {

using nlohmann::json;

namespace {

constexpr std::uint64_t most_bytes = 64 * 1024;
constexpr client::patience patience{.connect = std::chrono::seconds{5},
                                    .first_byte = std::chrono::seconds{5},
                                    .total = std::chrono::seconds{8}};

std::string protocol_text() { return std::to_string(cluster_protocol); }

result<door> read_door(std::string_view body) {
  auto all = json::parse(body, nullptr, false);
  try {
    return door{all.at("id").get<std::string>(), all.at("name").get<std::string>(),
                all.at("version").get<std::string>(), all.at("host").get<std::string>(),
                all.at("port").get<std::uint16_t>()};
  } catch (const json::exception&) {
    return fail(errc::upstream_error, "who listens there is no node of a cluster");
  }
}

} // namespace

io_task<void> answer_knock(exchange& ex) {
  request_target target;
  if (!target.parse(ex.head().target())) {
    co_await ex.reply_error(fail(errc::invalid_argument, "The request target is not valid"));
    co_return;
  }
  const auto& own = ex.server().door;
  auto theirs = target.query("protocol").value_or("");
  if (theirs != protocol_text()) {
    auto sentence = "it speaks protocol " + theirs + " (version " + target.query("version").value_or("") +
                    "), this node " + protocol_text() + " (version " + own.version + ")";
    log_event(log_level::warn, "node_refused",
              {{"node", target.query("name").value_or("")},
               {"address", ex.origin().address},
               {"reason", sentence}});
    co_await ex.reply(409, {{"detail", sentence}});
    co_return;
  }
  co_await ex.reply(
      200,
      {{"id", own.id}, {"name", own.name}, {"version", own.version}, {"host", own.host}, {"port", own.port}});
}

io_task<result<door>> knock(shard& home, std::string host, std::uint16_t port, door who) {
  client::call asked{home, client::address::of_node(std::move(host), port), patience};
  // Names and versions are ours, and need no quoting.
  auto target = std::string{door_path} + "?protocol=" + protocol_text() + "&name=" + who.name +
                "&version=" + who.version;
  client::request question{"GET", target, {}, true};
  auto got = co_await asked.ask(question);
  if (!got)
    co_return std::move(got.error());
  auto status = asked.answer().status;
  auto body = co_await asked.read_all(most_bytes);
  if (!body)
    co_return std::move(body.error());
  if (status == 409) {
    auto told = json::parse(*body, nullptr, false);
    co_return fail(errc::conflict,
                   "the node refuses this one: " +
                       (told.is_object() ? told.value("detail", std::string{}) : std::string{}));
  }
  if (status != 200)
    co_return fail(errc::upstream_error, "who listens there is no node of a cluster");
  co_return read_door(*body);
}

} // namespace sandy::http::nodes
