#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sandy {

/// Makes and knows the tokens of sandboxes: with its own, a sandbox is itself at the API, not its whole
/// tenant. A token says whose it is and is signed (HMAC-SHA256), so nothing is stored per sandbox and it
/// holds after a restart; whether the sandbox lives is for the worker to say. Immutable, so any thread may
/// ask.
class sandbox_tokens {
public:
  /// With the secret in `<data_dir>/token_secret`, made at the first start. Call it while holding the store.
  /// Blocking. Fails as `kept_secret`.
  static result<sandbox_tokens> open(const std::string& data_dir);
  /// With the secret of another node of the cluster.
  static sandbox_tokens of_node(std::string secret) { return sandbox_tokens{std::move(secret)}; }
  const std::string& secret() const noexcept { return secret_; }

  /// The sandbox whose token this says to be; empty when it is none. Proves nothing.
  static sandbox_id named_in(std::string_view token);

  /// "sandy-sb.<sandbox id>.<tenant in base64url>.<signature in hex>".
  std::string make(const principal& whose) const;

  /// Whose token this is; none for anything that `make` did not make. Takes the same time for every
  /// signature.
  std::optional<principal> verify(std::string_view token) const;

private:
  explicit sandbox_tokens(std::string secret)
      : secret_(std::move(secret)) {}
  std::string sign(const principal& whose) const;
  std::string secret_;
};

} // namespace sandy
