#pragma once

#include "http/gateway/model.hpp"

#include <memory>
#include <string>

namespace sandy::http::gateway {

/// A model behind a URL. Immutable: for all threads.
class url_backend final : public backend {
public:
  /// @param url of the server, with or without "/v1" or the whole path of its chat completions. @param key
  /// sent as bearer; empty: none. Fails with invalid_argument and half a sentence.
  static result<std::shared_ptr<url_backend>> make(const std::string& url, const std::string& key);

  std::unique_ptr<lease> at_once(const principal& caller) override;
  io_task<result<std::unique_ptr<lease>>> acquire(principal caller, std::chrono::milliseconds wait) override;
  io_task<result<std::unique_ptr<lease>>> acquire_spare(principal caller, const lease* besides) override;

private:
  client::address to_;
  std::string target_;
  std::string fields_;
};

/// The path of chat completions at a server whose URL has this path.
std::string chat_path(std::string path);

/// A URL from an address that may lack its scheme: http for this machine, private addresses and everything
/// with a port, https otherwise.
std::string with_scheme(const std::string& address);

} // namespace sandy::http::gateway
