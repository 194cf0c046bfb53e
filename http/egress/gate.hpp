#pragma once

#include "http/egress/addresses.hpp"
#include "http/egress/dns_message.hpp"
#include "http/egress/interception.hpp"
#include "http/egress/interceptor.hpp"
#include "http/egress/known_names.hpp"
#include "http/egress/outgoing.hpp"
#include "http/egress/platform_door.hpp"
#include "http/egress/policy.hpp"
#include "http/egress/resolver.hpp"
#include "http/relay/acceptor.hpp"
#include "runtime/network_capture.hpp"
#include "runtime/network_gate.hpp"

#include <boost/asio/basic_datagram_socket.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sandy::metrics {
class network_metrics;
}

namespace sandy::http::egress {

/// Connections at a time: of one sandbox, and of the whole server. Each takes two descriptors.
inline constexpr std::size_t most_per_sandbox = 256;
inline constexpr std::size_t most_of_all = 8192;
/// Questions of one sandbox that wait for their answer.
inline constexpr std::size_t most_lookups = 32;

/// Makes the door to the platform of one sandbox, on the thread that runs `home`.
using platform_opener =
    std::function<std::unique_ptr<platform_door>(boost::asio::io_context& home, const std::string& sandbox)>;

/// What all gates of a server share. Does not change once it is made, but for the counts.
struct surroundings {
  surroundings(network_policy installation_policy, std::vector<network_rule> opened,
               std::vector<boost::asio::ip::udp::endpoint> servers,
               std::optional<boost::asio::ip::tcp::endpoint> platform_place,
               std::shared_ptr<tls_sides> tls_of_both, metrics::network_metrics& counted);

  network_policy installation; ///< its lists hold for every sandbox; its mode is the most that one gets
  reachable_addresses reachable;
  resolver names;
  std::optional<boost::asio::ip::tcp::endpoint> platform; ///< what the platform's names lead to
  bool platform_named = false;                            ///< it is told which sandbox calls
  platform_opener open_platform;  ///< instead of that place: we serve the platform's names. Empty: we do not
  std::shared_ptr<tls_sides> tls; ///< for connections that secrets are put into
  metrics::network_metrics& numbers;
  std::atomic<std::size_t> open{0}; ///< connections
};

/// The gate of one sandbox. Lives on one thread; kept alive by its coroutines. Holds the sandbox's network by
/// its sockets only, until `close`.
///
/// Files: gate (life cycle, policy), gate_connections, gate_names.
class gate final : public runtime::network_gate, public std::enable_shared_from_this<gate> {
public:
  /// @param label named in the log. @param used_bytes that went through before.
  /// Fails with internal when the descriptors cannot be used.
  static result<std::shared_ptr<gate>> make(boost::asio::io_context& home, runtime::network_capture captured,
                                            std::string label, std::uint64_t used_bytes,
                                            std::shared_ptr<surroundings> around);

  /// Begins to accept. Once.
  void start();

  /// From now on connections that the policy allows, and that it wants, are its to relay. On the gate's
  /// thread.
  void intercept(std::shared_ptr<interceptor> with) { interceptor_ = std::move(with); }

  void post(std::function<void()> work) override;
  void apply(const std::vector<network_policy>& all_of) override;
  void use_secrets(const sandbox_secrets& secrets) override;
  void close() noexcept override;
  network_usage usage() const override;

private:
  using datagram_socket = boost::asio::basic_datagram_socket<boost::asio::ip::udp, io_executor>;
  using time_point = std::chrono::steady_clock::time_point;
  using connection = std::shared_ptr<outgoing>;

  /// Permits so many at once and so many per second.
  struct allowance {
    double most;
    double per_second;
    double left = most;
    time_point at = std::chrono::steady_clock::now();
    bool take();
  };

  gate(boost::asio::io_context& home, std::string label, std::uint64_t used_bytes,
       std::shared_ptr<surroundings> around);
  void accepted(relay::socket client);

  // Connections: gate_connections.cpp
  static io_task<void> serve(std::shared_ptr<gate> self, connection conn);
  io_task<void> serve_platform(connection conn);
  io_task<void> serve_world(connection conn);
  io_task<refusal> judge_named(const outgoing& conn);
  io_task<bool> belongs(std::string name, network_address address);
  io_task<bool> reach(connection conn, boost::asio::ip::tcp::endpoint to);
  io_task<void> refuse(connection conn, refusal why, std::string begun);
  refusal judge_first(const outgoing& conn) const;
  bool still_allowed(const outgoing& conn) const;
  std::vector<std::string> names_of(const outgoing& conn) const;
  void let_through(outgoing& conn);
  bool count(bool sent, std::size_t bytes);

  // Questions for names: gate_names.cpp
  struct asker;
  static io_task<void> question_loop(std::shared_ptr<gate> self);
  static io_task<void> answer_datagram(std::shared_ptr<gate> self, asker from, dns_bytes question);
  io_task<void> serve_questions(connection conn);
  io_task<dns_bytes> answer(dns_bytes question, std::size_t most_bytes);
  io_task<dns_answer> look_up(std::string name, bool ipv4);
  refusal judge_question(const std::string& name) const;
  bool is_platform_name(std::string_view name) const;
  void receive_questions();
  void reply(const asker& to, const dns_bytes& message);

  void log_refusal(std::string_view what, refusal why, const std::string& where);
  void cut_all() noexcept;

  boost::asio::io_context& home_;
  std::string label_;
  std::shared_ptr<surroundings> around_;
  runtime::unique_fd steering_;
  relay::acceptor acceptor_;
  datagram_socket questions_;
  bool ipv6_ = true;
  std::unique_ptr<platform_door> platform_door_; ///< while it is open, where we serve the platform
  std::shared_ptr<interceptor> interceptor_;     ///< none: nothing is intercepted
  policy policy_;
  bool has_policy_ = false;
  known_names known_;
  coro::list_hook open_; ///< head of a list of outgoing
  std::size_t open_count_ = 0;
  std::size_t looking_up_ = 0;
  allowance questions_allowed_{200, 100};
  allowance log_lines_{20, 1};
  const std::uint64_t used_before_;
  std::atomic<std::uint64_t> sent_{0}, received_{0}, let_through_{0}, refused_{0}, asked_{0},
      names_refused_{0};
  std::atomic<std::uint32_t> open_now_{0};
  std::atomic<bool> spent_{false};
};

/// Where the platform's names lead inside a sandbox: an address that is nobody's (RFC 7600), and its port.
inline constexpr std::uint32_t platform_address = 0xc0000008; // 192.0.0.8
inline constexpr std::uint16_t platform_port = 8000;

} // namespace sandy::http::egress
