#include "http/egress/gate.hpp"
#include "http/timed.hpp"
#include "metrics/network_metrics.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>

namespace sandy::http::egress {

// Questions for names: each is judged, asked anew by us, and its answer looked through.

namespace net = boost::asio;

namespace {

/// Questions taken before others get their turn.
constexpr int most_at_once = 16;
constexpr std::size_t most_question_bytes = 512;
constexpr std::chrono::seconds between_questions{10};
/// An answer counts for longer than it says: programs connect late, and to what they remember.
constexpr std::chrono::minutes remembered{15};

void rethrow(const std::exception_ptr& what) {
  if (what)
    std::rethrow_exception(what);
}

} // namespace

/// Whom an answer goes to, and from which address.
struct gate::asker {
  sockaddr_storage from{};
  socklen_t from_size = 0;
  in6_pktinfo asked6{};
  in_pktinfo asked4{};
};

io_task<void> gate::question_loop(std::shared_ptr<gate> self) {
  while (self->questions_.is_open()) {
    auto ready = co_await self->questions_.async_wait(net::socket_base::wait_read, as_values);
    if (std::get<0>(ready) || !self->questions_.is_open())
      co_return;
    self->receive_questions();
  }
}

void gate::receive_questions() {
  for (int i = 0; i < most_at_once; ++i) {
    dns_bytes bytes(most_question_bytes);
    asker who;
    alignas(cmsghdr) std::array<char, 128> control{};
    iovec piece{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &who.from;
    message.msg_namelen = sizeof who.from;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto size = ::recvmsg(questions_.native_handle(), &message, MSG_DONTWAIT);
    if (size < 0)
      return;
    who.from_size = message.msg_namelen;
    for (auto* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
      if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO)
        std::memcpy(&who.asked6, CMSG_DATA(each), sizeof who.asked6);
      if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO)
        std::memcpy(&who.asked4, CMSG_DATA(each), sizeof who.asked4);
    }
    bytes.resize(static_cast<std::size_t>(size));
    if ((message.msg_flags & MSG_TRUNC) != 0 || !has_policy_ || looking_up_ >= most_lookups ||
        !questions_allowed_.take()) {
      ++names_refused_;
      around_->numbers.name(refusal::too_many);
      continue; // whoever asks too much gets no answer, which makes it slower
    }
    net::co_spawn(home_, answer_datagram(shared_from_this(), who, std::move(bytes)), rethrow);
  }
}

io_task<void> gate::answer_datagram(std::shared_ptr<gate> self, asker from, dns_bytes question) {
  auto message = co_await self->answer(std::move(question), 0);
  if (!message.empty() && self->questions_.is_open())
    self->reply(from, message);
}

void gate::reply(const asker& to, const dns_bytes& message) {
  alignas(cmsghdr) std::array<char, 128> control{};
  iovec piece{const_cast<std::uint8_t*>(message.data()), message.size()};
  msghdr whole{};
  whole.msg_name = const_cast<sockaddr_storage*>(&to.from);
  whole.msg_namelen = to.from_size;
  whole.msg_iov = &piece;
  whole.msg_iovlen = 1;
  whole.msg_control = control.data();
  whole.msg_controllen = ipv6_ ? CMSG_SPACE(sizeof(in6_pktinfo)) : CMSG_SPACE(sizeof(in_pktinfo));
  auto* head = CMSG_FIRSTHDR(&whole);
  if (ipv6_) {
    in6_pktinfo source = to.asked6;
    source.ipi6_ifindex = 0;
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof source);
    std::memcpy(CMSG_DATA(head), &source, sizeof source);
  } else {
    in_pktinfo source{};
    source.ipi_spec_dst = to.asked4.ipi_addr;
    head->cmsg_level = IPPROTO_IP;
    head->cmsg_type = IP_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof source);
    std::memcpy(CMSG_DATA(head), &source, sizeof source);
  }
  // What cannot be sent is lost, as datagrams are: whoever asks asks again.
  [[maybe_unused]] auto sent = ::sendmsg(questions_.native_handle(), &whole, MSG_DONTWAIT);
}

/// The same by TCP: one question after the other, each with its length before it.
io_task<void> gate::serve_questions(connection conn) {
  io_timer timer{conn->near.get_executor()};
  std::array<std::uint8_t, 2> length{};
  while (!conn->ended) {
    timer.expires_after(between_questions);
    auto announced = co_await within(timer, net::async_read(conn->near, net::buffer(length), as_values));
    if (!announced || std::get<0>(*announced))
      co_return;
    dns_bytes question(static_cast<std::size_t>(length[0] << 8 | length[1]));
    if (question.size() > most_question_bytes)
      co_return;
    auto read = co_await within(timer, net::async_read(conn->near, net::buffer(question), as_values));
    if (!read || std::get<0>(*read) || looking_up_ >= most_lookups || !questions_allowed_.take())
      co_return;
    auto message = co_await answer(std::move(question), 65'535);
    if (message.empty())
      co_return;
    const auto size = message.size();
    message.insert(message.begin(), {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
    timer.expires_after(between_questions);
    auto written = co_await within(timer, net::async_write(conn->near, net::buffer(message), as_values));
    if (!written || std::get<0>(*written))
      co_return;
  }
}

bool gate::is_platform_name(std::string_view name) const {
  return (around_->platform || around_->open_platform) && policy_.mode() >= network_mode::platform &&
         (name == "platform" || name == "platform-proxy" || name == "host.docker.internal");
}

refusal gate::judge_question(const std::string& name) const {
  // Names without a dot are those of somebody's own network.
  if (name.empty() || name.find('.') == std::string::npos)
    return refusal::not_named;
  return policy_.judge_name(name);
}

/// @param most_bytes that fit into the answer; 0: what the question says.
io_task<dns_bytes> gate::answer(dns_bytes bytes, std::size_t most_bytes) {
  auto question = read_question(bytes);
  if (!question)
    co_return write_refusal(bytes, dns_code::malformed);
  if (most_bytes == 0)
    most_bytes = question->answer_bytes;
  ++asked_;
  dns_answer found;
  if (is_platform_name(question->name)) {
    if (asks_for_ipv4(*question))
      found.addresses.push_back({question->name, to_network(net::ip::address_v4{platform_address}), 60});
    co_return write_answer(*question, found, most_bytes);
  }
  if (auto why = judge_question(question->name); why != refusal::none) {
    ++names_refused_;
    around_->numbers.name(why);
    log_refusal("egress_name_refused", why, question->name);
    // "There is no such name" is what programs take for final; told that we refuse, they ask again and again.
    found.code = dns_code::no_such_name;
    co_return write_answer(*question, found, most_bytes);
  }
  around_->numbers.name(refusal::none);
  if (asks_for_address(*question)) // all else has no data: what nobody looks through could carry anything
    found = co_await look_up(question->name, asks_for_ipv4(*question));
  co_return write_answer(*question, found, most_bytes);
}

/// The addresses of a name that may be reached, remembered as this sandbox's. Not judged by name: who calls
/// has.
io_task<dns_answer> gate::look_up(std::string name, bool ipv4) {
  ++looking_up_;
  auto outcome = co_await around_->names.ask(name, ipv4);
  --looking_up_;
  dns_answer failed;
  failed.code = dns_code::failed;
  if (!outcome)
    co_return failed;
  auto answer = std::move(*outcome);
  const auto before = answer.addresses.size();
  std::erase_if(answer.addresses,
                [&](const auto& each) { return !around_->reachable.may_answer(each.value); });
  if (answer.addresses.size() < before)
    log_refusal("egress_answer_cut", refusal::address, name);
  // Connecting to us always succeeds: a program would take the first address and never try the next.
  std::erase_if(answer.addresses,
                [](const auto& each) { return !reachable_addresses::has_route(each.value); });
  const auto now = std::chrono::steady_clock::now();
  for (const auto& each : answer.addresses)
    known_.add(each.value, name, now + std::chrono::seconds{std::min(each.ttl_seconds, 3600u)} + remembered,
               now);
  co_return answer;
}

} // namespace sandy::http::egress
