#include "http/egress/gate.hpp"
#include "http/egress/proxy_header.hpp"
#include "http/timed.hpp"
#include "metrics/network_metrics.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace sandy::http::egress {

// What happens to one connection: it is judged, by its address, then by what is said on it, and passed on.

namespace net = boost::asio;
using net::ip::tcp;

namespace {

constexpr std::chrono::seconds connect_timeout{10};
/// A client that says nothing for so long waits for its server to begin.
constexpr std::chrono::milliseconds silence{1'500};
/// Where one may have to be intercepted the client begins, however late: its host speaks TLS or HTTP.
constexpr std::chrono::hours long_silence{24};
/// From its first byte on, until it said what it wants.
constexpr std::chrono::seconds introduction{10};
/// Both, of one that is refused.
constexpr std::chrono::seconds last_words{1};
constexpr std::uint16_t name_port = 53;
/// What a connection to the world may have on its way: with less, distance makes it slow; more is memory that
/// a reader who stops holds.
constexpr int window_bytes = 1024 * 1024;

constexpr std::string_view tls_access_denied{"\x15\x03\x01\x00\x02\x02\x31", 7};
constexpr std::string_view tls_unrecognized_name{"\x15\x03\x01\x00\x02\x02\x70", 7};

std::string in_words(const destination& to, const std::optional<std::string>& name) {
  auto address = to_string(to.address);
  auto place = (is_ipv4(to.address) ? address : "[" + address + "]") + ":" + std::to_string(to.port);
  return name ? *name + " (" + place + ")" : place;
}

} // namespace

io_task<void> gate::serve(std::shared_ptr<gate> self, connection conn) {
  conn->sent = [self](std::size_t bytes) { return self->count(true, bytes); };
  conn->received = [self](std::size_t bytes) { return self->count(false, bytes); };
  if (conn->to.port == name_port)
    co_await self->serve_questions(conn);
  else if (conn->to.address == to_network(net::ip::address_v4{platform_address}))
    co_await self->serve_platform(conn);
  else
    co_await self->serve_world(conn);
  if (!conn->judged || conn->broken)
    conn->cut(); // else what is under way arrives
  conn->unlink();
  conn->sent = conn->received = nullptr; // they hold us
  --self->open_count_;
  --self->open_now_;
  --self->around_->open;
  self->around_->numbers.closed();
}

io_task<void> gate::serve_platform(connection conn) {
  conn->to_platform = true;
  const auto served = platform_door_ != nullptr;
  if (!still_allowed(*conn) || (!served && !around_->platform) || conn->to.port != platform_port) {
    co_await refuse(conn, refusal::mode, {});
    co_return;
  }
  if (served) {
    let_through(*conn);
    platform_door_->take(std::move(conn->near));
    co_return;
  }
  auto reached = co_await reach(conn, *around_->platform);
  if (!reached)
    co_return;
  let_through(*conn);
  if (around_->platform_named) {
    boost::system::error_code gone;
    const auto from = conn->near.remote_endpoint(gone);
    const tcp::endpoint to{net::ip::address_v4{platform_address}, platform_port};
    co_await pass_on_begun(conn, proxy_header(label_, {from.address(), from.port()}, to));
  } else
    co_await relay::move_bytes(conn);
}

refusal gate::judge_first(const outgoing& conn) const {
  if (policy_.mode() != network_mode::internet)
    return refusal::mode;
  if (spent_)
    return refusal::bytes;
  if (!around_->reachable.may_reach(conn.to.address, conn.to.port))
    return refusal::address;
  return policy_.judge_address(conn.to);
}

io_task<void> gate::serve_world(connection conn) {
  if (auto why = judge_first(*conn); why != refusal::none) {
    co_await refuse(conn, why, {});
    co_return;
  }
  const auto by_name = policy_.has_names() && !policy_.allows_address(conn->to);
  const auto helper = interceptor_ && interceptor_->may_want(conn->to.port) ? interceptor_ : nullptr;
  std::string begun;
  first_words words;
  conn->inspected = by_name;
  if (by_name || helper) {
    auto patience = helper ? std::chrono::milliseconds{long_silence} : silence;
    words = co_await listen(conn, begun, patience, introduction);
    if (conn->ended)
      co_return;
    conn->name = words.name;
  }
  if (by_name) {
    const auto unclear = words.broken || (!words.whole && !begun.empty()) ||
                         (words.what == spoken::http && !words.name); // it names an address
    auto why = unclear ? refusal::protocol : refusal::none;
    if (why == refusal::none)
      why = co_await judge_named(*conn);
    if (why != refusal::none) {
      co_await refuse(conn, why, std::move(begun));
      co_return;
    }
  }
  const auto tls = words.what == spoken::tls;
  const auto clear = words.whole && !words.broken && (tls || words.what == spoken::http);
  const auto intercepted = helper && clear && words.name && helper->wants(*words.name, conn->to.port, tls);
  if (intercepted) {
    conn->inspected = true;
    auto true_name = tls; // there the host proves its name itself
    if (!tls)
      true_name = co_await belongs(*words.name, conn->to.address);
    if (!true_name) {
      co_await refuse(conn, refusal::wrong_host, std::move(begun));
      co_return;
    }
  }
  auto reached = co_await reach(conn, {to_asio(conn->to.address), conn->to.port});
  if (!reached)
    co_return;
  // The policy may be another one by now.
  if (judge_first(*conn) != refusal::none || !still_allowed(*conn)) {
    co_await refuse(conn, refusal::denied, std::move(begun));
    co_return;
  }
  let_through(*conn);
  if (intercepted) {
    interceptable what{conn, *words.name, conn->to.port, tls, std::move(begun)};
    co_await helper->relay(std::move(what));
  } else if (by_name && begun.empty())
    co_await pass_on_silent(conn);
  else if (begun.empty())
    co_await relay::move_bytes(conn);
  else if (by_name && words.what == spoken::http)
    co_await pass_on_requests(conn, std::move(begun));
  else
    co_await pass_on_begun(conn, std::move(begun));
}

/// The answer of the lists to what the connection says it is for.
io_task<refusal> gate::judge_named(const outgoing& conn) {
  const auto to = conn.to;
  const auto name = conn.name;
  auto why = policy_.judge(to, name, names_of(conn));
  if (why == refusal::none && name) {
    auto true_name = co_await belongs(*name, to.address);
    if (!true_name)
      why = refusal::wrong_host;
  }
  co_return why;
}

/// Whether DNS gives that address for that name.
io_task<bool> gate::belongs(std::string name, network_address address) {
  if (known_.has(address, name, std::chrono::steady_clock::now()))
    co_return true;
  if (looking_up_ >= most_lookups || !questions_allowed_.take())
    co_return false; // a name that a sandbox says is a question of its own
  auto answer = co_await look_up(name, is_ipv4(address));
  co_return std::any_of(answer.addresses.begin(), answer.addresses.end(),
                        [&](const auto& each) { return each.value == address; });
}

bool gate::still_allowed(const outgoing& conn) const {
  if (conn.to_platform)
    return policy_.mode() >= network_mode::platform;
  if (judge_first(conn) != refusal::none)
    return false;
  if (policy_.has_names() && !conn.inspected && !policy_.allows_address(conn.to))
    return false; // nobody knows what it is for
  return policy_.judge(conn.to, conn.name, conn.judged ? conn.known : names_of(conn)) == refusal::none;
}

/// Those that the sandbox knows its address by.
std::vector<std::string> gate::names_of(const outgoing& conn) const {
  return known_.names_of(conn.to.address, std::chrono::steady_clock::now());
}

void gate::let_through(outgoing& conn) {
  conn.judged = true;
  if (!conn.name)
    conn.known = names_of(conn);
  ++let_through_;
  around_->numbers.connection(refusal::none);
}

io_task<bool> gate::reach(connection conn, tcp::endpoint to) {
  boost::system::error_code ec;
  if (!conn->ended) // cut while its name was looked up
    conn->far.open(to.protocol(), ec);
  if (ec || conn->ended)
    co_return false;
  auto socket = conn->far.native_handle();
  ::setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window_bytes, sizeof window_bytes); // wishes, both
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &window_bytes, sizeof window_bytes);
  io_timer timer{conn->far.get_executor(), connect_timeout};
  auto connected = co_await within(timer, conn->far.async_connect(to, as_values));
  co_return connected && !std::get<0>(*connected) && !conn->ended;
}

/// Says no in the connection's own language.
io_task<void> gate::refuse(connection conn, refusal why, std::string begun) {
  const auto where = in_words(conn->to, conn->name);
  ++refused_;
  around_->numbers.connection(why);
  log_refusal("egress_refused", why, where);
  auto words = read_first_bytes(begun);
  if (begun.empty())
    words = co_await listen(conn, begun, last_words, last_words);
  if (conn->ended)
    co_return;
  if (words.what == spoken::http)
    co_await say(conn, refusal_page(why, where));
  else if (words.what == spoken::tls)
    co_await say(conn, std::string{conn->name && why != refusal::wrong_host ? tls_unrecognized_name
                                                                            : tls_access_denied});
  conn->cut();
}

} // namespace sandy::http::egress
