#include "http/egress/gate.hpp"

#include "http/egress/secrets_interceptor.hpp"
#include "metrics/log.hpp"
#include "metrics/network_metrics.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>

namespace sandy::http::egress {

namespace net = boost::asio;
using net::ip::tcp;
using net::ip::udp;

namespace {

void rethrow(const std::exception_ptr& what) {
  if (what)
    std::rethrow_exception(what); // a bug, as in the loop of the server
}

} // namespace

bool gate::allowance::take() {
  auto now = std::chrono::steady_clock::now();
  left = std::min(most, left + per_second * std::chrono::duration<double>(now - at).count());
  at = now;
  if (left < 1)
    return false;
  left -= 1;
  return true;
}

gate::gate(net::io_context& home, std::string label, std::uint64_t used_bytes,
           std::shared_ptr<surroundings> around)
    : home_(home)
    , label_(std::move(label))
    , around_(std::move(around))
    , acceptor_(home)
    , questions_(home.get_executor())
    , used_before_(used_bytes) {}

result<std::shared_ptr<gate>> gate::make(net::io_context& home, runtime::network_capture captured,
                                         std::string label, std::uint64_t used_bytes,
                                         std::shared_ptr<surroundings> around) {
  std::shared_ptr<gate> made{new gate(home, std::move(label), used_bytes, std::move(around))};
  made->ipv6_ = captured.ipv6;
  auto assigned =
      made->acceptor_.assign(captured.ipv6 ? tcp::v6() : tcp::v4(), std::move(captured.connections));
  if (!assigned)
    return std::move(assigned.error());
  boost::system::error_code ec;
  made->questions_.assign(captured.ipv6 ? udp::v6() : udp::v4(), captured.questions.get(), ec);
  if (ec)
    return fail(errc::internal, "Cannot take what was captured: " + ec.message());
  [[maybe_unused]] auto owned_by_the_socket = captured.questions.release();
  made->steering_ = std::move(captured.steering);
  return made;
}

void gate::start() {
  auto take = [self = shared_from_this()](relay::socket client) { self->accepted(std::move(client)); };
  net::co_spawn(home_, acceptor_.run("egress_accept_failed", label_, std::move(take)), rethrow);
  net::co_spawn(home_, question_loop(shared_from_this()), rethrow);
  if (around_->open_platform && acceptor_.is_open())
    platform_door_ = around_->open_platform(home_, label_);
}

void gate::post(std::function<void()> work) { net::post(home_, std::move(work)); }

network_usage gate::usage() const {
  network_usage now;
  now.sent_bytes = sent_;
  // What went through before a restart of the server is known as a sum.
  now.received_bytes = received_ + used_before_;
  now.connections = let_through_;
  now.refused = refused_;
  now.names = asked_;
  now.names_refused = names_refused_;
  now.open = open_now_;
  now.spent = spent_;
  return now;
}

void gate::apply(const std::vector<network_policy>& all_of) {
  auto all = all_of;
  all.push_back(around_->installation);
  policy_ = policy{all};
  has_policy_ = true;
  if (platform_door_ && policy_.mode() < network_mode::platform)
    platform_door_->cut();
  count(true, 0);
  for (auto* hook = open_.next(); open_.linked() && hook != &open_;) {
    auto& each = static_cast<outgoing&>(*hook);
    hook = hook->next();
    if (each.judged && !each.ended && !still_allowed(each)) {
      log_refusal("egress_cut", refusal::denied, to_string(each.to.address));
      each.cut();
    }
  }
}

void gate::use_secrets(const sandbox_secrets& secrets) {
  auto made = interception::make(secrets);
  if (!made)
    return log_event(log_level::error, "secrets_not_usable",
                     {{"sandbox_id", label_}, {"what", text_of(made.error())}});
  intercept(std::make_shared<secrets_interceptor>(std::move(*made), around_->tls, around_->numbers, label_));
}

void gate::close() noexcept {
  steering_.reset(); // first: what comes from now on is refused, not left waiting
  acceptor_.close();
  boost::system::error_code ignored; // closed twice is closed
  questions_.close(ignored);
  cut_all();
  platform_door_.reset();
}

void gate::cut_all() noexcept {
  while (open_.linked()) {
    auto& each = static_cast<outgoing&>(*open_.next());
    each.unlink();
    each.cut();
  }
}

void gate::accepted(relay::socket client) {
  boost::system::error_code ec;
  auto dialled = client.local_endpoint(ec); // a captured connection keeps the address that was asked for
  auto conn = std::make_shared<outgoing>(std::move(client));
  conn->to = {to_network(dialled.address()), dialled.port()};
  if (ec || !has_policy_ || open_count_ >= most_per_sandbox || around_->open >= most_of_all) {
    ++refused_;
    around_->numbers.connection(has_policy_ ? refusal::too_many : refusal::mode);
    return conn->cut();
  }
  conn->insert_before(open_);
  ++open_count_;
  ++open_now_;
  ++around_->open;
  around_->numbers.opened();
  net::co_spawn(home_, serve(shared_from_this(), std::move(conn)), rethrow);
}

bool gate::count(bool sent, std::size_t bytes) {
  (sent ? sent_ : received_) += bytes;
  if (sent)
    around_->numbers.sent(bytes);
  else
    around_->numbers.received(bytes);
  const auto most = policy_.max_bytes();
  const auto over = most != 0 && sent_ + received_ + used_before_ >= most;
  if (over && !spent_) {
    log_event(log_level::warn, "egress_bytes_spent", {{"sandbox_id", label_}, {"max_bytes", most}});
    post([self = shared_from_this()] { self->cut_all(); }); // also those that are silent now
  }
  spent_ = over;
  return !over;
}

/// What a sandbox does can fill the log no faster than this.
void gate::log_refusal(std::string_view what, refusal why, const std::string& where) {
  if (log_lines_.take())
    log_event(log_level::info, what,
              {{"sandbox_id", label_}, {"reason", to_string(why)}, {"destination", where}});
}

} // namespace sandy::http::egress
