#pragma once

#include "messages/error.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/ip/address.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sandy::http::client {

/// Addresses of hosts, as the machine finds them: its hosts file, search domains and name servers
/// (getaddrinfo(3), which blocks for as long as a silent name server lets it and cannot be cancelled). Each
/// name has a thread of its own for that, and whoever asks waits for no other name. Thread safe.
class name_lookup {
public:
  using addresses = std::vector<boost::asio::ip::address>;
  using look = std::function<result<addresses>(const std::string& name)>;

  /// Most names that are looked up at a time.
  static constexpr std::size_t most_at_once = 16;

  name_lookup();
  /// @param how blocks; fails with upstream_error when there is no such host.
  explicit name_lookup(look how);

  /// In the machine's order; what was found is kept for 30 s. @param name or an address. Who is cancelled is
  /// free at once, and the look-up goes on for who asks next. Fails as `how` does, and with upstream_error
  /// when too many names are looked up; the text is a reason and no sentence.
  io_task<result<addresses>> find(std::string name) const;

private:
  struct search;
  struct state;
  static result<std::shared_ptr<search>> begin(const std::shared_ptr<state>& all, const std::string& name);

  std::shared_ptr<state> state_; ///< look-ups outlive this
};

} // namespace sandy::http::client
