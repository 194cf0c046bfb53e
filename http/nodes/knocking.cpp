#include "http/nodes/knocking.hpp"

#include "http/client/call.hpp"
#include "http/context.hpp"
#include "http/exchange.hpp"
#include "http/request_head.hpp"
#include "http/shard.hpp"
#include "http/target.hpp"
#include "http/timed.hpp"
#include "messages/cluster.hpp"

#include <boost/asio/ip/address.hpp>

#include <nlohmann/json.hpp>

namespace sandy::http::nodes {

using nlohmann::json;

namespace {

constexpr std::chrono::seconds look_timeout{3};
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

/// Whether the port for CAF's protocol can be reached: CAF itself would wait for minutes.
io_task<result<void>> takes_connections(shard& home, const door& at) {
  boost::system::error_code wrong;
  const auto address = boost::asio::ip::make_address(at.host, wrong);
  if (wrong)
    co_return fail(errc::upstream_error, "the node's control address is none");
  connection::socket socket{home.io_context.get_executor()};
  io_timer timer{home.io_context.get_executor(), look_timeout};
  auto looking = [](connection::socket& with, boost::asio::ip::tcp::endpoint there) -> io_task<bool> {
    auto [refused] = co_await with.async_connect(there, as_values);
    co_return !refused;
  };
  auto connected = co_await within(timer, looking(socket, {address, at.port}));
  if (!connected || !*connected)
    co_return fail(errc::upstream_error, "the node's control port " + at.host + ":" +
                                             std::to_string(at.port) + " cannot be reached");
  co_return caf::unit;
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
    auto sentence = target.query("name").value_or("") + " speaks protocol " + theirs + " (version " +
                    target.query("version").value_or("") + "), this node " + protocol_text() + " (version " +
                    own.version + ")";
    ex.home().common->refused_nodes.tell(ex.origin().address, sentence);
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
  auto theirs = read_door(*body);
  if (!theirs)
    co_return theirs;
  auto open = co_await takes_connections(home, *theirs);
  if (!open)
    co_return std::move(open.error());
  co_return theirs;
}

} // namespace sandy::http::nodes
