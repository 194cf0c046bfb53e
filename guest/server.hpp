#pragma once

#include "guest/connection.hpp"
#include "guest/process_table.hpp"

#include <list>

namespace sandy::guest {

/// Process 1: accepts connections, gives each its operation, reaps children, and ends when no server renews
/// its lease.
class server final : public event_source, public timer_target, public operation_factory {
public:
  /// @param listener non-blocking. @param lease_ms the first lease; 0: none.
  server(unique_fd listener, unique_fd child_signals, child_defaults defaults, std::uint64_t lease_ms);

  /// Serves until the lease runs out. @return false at once when the kernel gave no epoll.
  bool run();

private:
  /// With more connections than this nothing but pings and leases is served: each takes memory of the
  /// sandbox.
  static constexpr std::size_t max_connections = 512;
  /// How long to leave the listener alone when descriptors or memory ran out.
  static constexpr std::uint64_t accept_pause_ms = 20;
  /// Clients waiting at the listener are accepted a few at a time: a flood must not starve those that are
  /// served.
  static constexpr int accepts_per_round = 16;

  void on_events(std::uint32_t events) override;
  void on_timer() override;
  std::unique_ptr<operation> start(connection& link, frame_type type, std::string_view payload) override;
  /// Accepts one client. @return false when there is none, or no means to have one.
  bool accept();
  void renew(connection& link, const lease_request& request);

  class reaper final : public event_source {
  public:
    reaper(event_loop& loop, unique_fd signals, process_table& table)
        : signals_(std::move(signals))
        , registration_(loop, *this)
        , table_(table) {}
    bool start();

  private:
    void on_events(std::uint32_t events) override;
    unique_fd signals_;
    registration registration_;
    process_table& table_;
  };

  class lease_clock final : public timer_target {
  public:
    explicit lease_clock(event_loop& loop)
        : timer_(loop, *this) {}
    void renew(std::uint64_t milliseconds);
    bool over() const noexcept { return over_; }

  private:
    void on_timer() override;
    timer timer_;
    std::uint64_t last_call_ms_ = 0; ///< the end of the lease, in which a renewal may be on its way
    std::uint64_t due_ms_ = 0;
    bool last_call_ = false;
    bool over_ = false;
  };

  event_loop loop_;
  unique_fd listener_;
  registration registration_;
  timer accept_pause_;
  lease_clock lease_;
  process_table table_;
  reaper reaper_;
  std::list<connection> connections_; ///< after the table: operations refer to processes
};

} // namespace sandy::guest
