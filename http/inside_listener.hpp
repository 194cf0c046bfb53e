#pragma once

#include "coro/intrusive_list.hpp"
#include "http/relay/acceptor.hpp"
#include "http/shard.hpp"
#include "messages/ids.hpp"
#include "runtime/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sandy::http {

class router;

/// The door from inside one sandbox to the API: a socket that listens in the sandbox's network namespace, and
/// the sessions that came through it. Or to something else with a route table of its own: then somebody else
/// accepts, and hands on the connections. Lives on its shard's thread; the coroutine that accepts, its
/// sessions and whoever may close it keep it alive.
class inside_listener : public coro::list_hook, public std::enable_shared_from_this<inside_listener> {
public:
  /// Connections of one sandbox at a time. More wait in the kernel's queue: no sandbox uses up what is there
  /// for all.
  static constexpr std::size_t most_sessions = 64;

  /// @param who the sandbox and its tenant. Fails with internal when the descriptor is no listening socket.
  static result<std::shared_ptr<inside_listener>> make(runtime::unique_fd listening, principal who,
                                                       std::shared_ptr<shard> home);

  /// A door that gets its connections by `take`. @param routes that requests get instead of the API's;
  /// outlive it.
  static std::shared_ptr<inside_listener> make(const router& routes, std::shared_ptr<shard> home);

  /// Begins to accept, now or when the server does; closed by a server that drains. Once.
  void start();
  /// The server began to accept.
  void begin_accepting();
  /// Accepts no more. Sessions live on.
  void stop_accepting() noexcept;
  /// The sandbox is gone: closes everything that keeps its network namespace, at once.
  void close();
  /// Closes the connections that there are, at once.
  void cut();

  /// Serves a connection of this sandbox, whose tenant may be known only now. Beyond `most_sessions` it is
  /// told that there are too many, beyond twice as many it is reset.
  void take(relay::socket client, principal who);

  const principal& who() const noexcept { return who_; }
  /// nullptr: the API's.
  const router* routes() const noexcept { return routes_; }
  coro::list_hook& sessions() noexcept { return sessions_; }
  void session_ended() noexcept;

  /// Bodies are read into memory, at most two of the largest at a time: a sandbox that sends them through all
  /// its connections must not fill the server's. @returns false when there is no room for `bytes` more.
  bool hold_body(std::uint64_t bytes) noexcept;
  void release_body(std::uint64_t bytes) noexcept { body_bytes_ -= bytes; }

private:
  inside_listener(principal who, std::shared_ptr<shard> home);
  void accepted(relay::socket client);
  void serve(relay::socket client, bool refuse);

  principal who_;
  std::shared_ptr<shard> shard_;
  const router* routes_ = nullptr;
  relay::acceptor acceptor_;
  coro::list_hook sessions_;     ///< head of a list of class session
  bool closed_ = false;          ///< takes nothing any more
  std::size_t open_ = 0;         ///< sessions that came through here
  std::uint64_t body_bytes_ = 0; ///< of request bodies in memory
};

} // namespace sandy::http
