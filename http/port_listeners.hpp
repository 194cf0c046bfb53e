#pragma once

#include "http/accepting.hpp"

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace sandy::http {

/// A listener for each port that sandboxes expose, shared by all that expose the same. A port that something
/// else has, or that the kernel refuses, is tried again with the next sandbox. Thread safe.
class port_listeners : public std::enable_shared_from_this<port_listeners> {
public:
  port_listeners(std::shared_ptr<edge> common, std::vector<std::shared_ptr<shard>> shards);

  /// The server listens at that address: so do these from now on.
  void begin(const boost::asio::ip::address& at);
  /// A sandbox exposes these.
  void add(const std::vector<std::uint16_t>& ports);
  /// It does no more. What nobody exposes is closed soon, on the right thread.
  void remove(const std::vector<std::uint16_t>& ports);
  /// Closes all, for good.
  void close();

  /// Of these ports, those that are listened on nowhere.
  std::vector<std::uint16_t> missing(const std::vector<std::uint16_t>& ports) const;

private:
  struct exposed {
    std::size_t sandboxes = 0;                 ///< that expose it
    std::shared_ptr<client_acceptor> listener; ///< nullptr: it could not be opened
  };
  using table = std::map<std::uint16_t, exposed>;
  void try_open(std::uint16_t port, exposed& which);
  void end(std::uint16_t port, client_acceptor& listener);

  std::shared_ptr<edge> common_;
  std::vector<std::shared_ptr<shard>> shards_;
  std::size_t next_home_ = 0;
  mutable std::mutex mutex_;
  std::optional<boost::asio::ip::address> address_; ///< none: not begun, or closed
  table ports_;                                     ///< also those whose listener is about to be closed
};

} // namespace sandy::http
