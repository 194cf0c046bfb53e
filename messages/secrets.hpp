#pragma once

// What a sandbox may use without knowing it: values that the server puts into its requests on their way out.

#include <caf/detail/stringification_inspector.hpp>
#include <caf/meta/type_name.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sandy {

/// A text that must not be shown: whoever prints a message that holds one reads "(hidden)".
struct hidden_text {
  std::string bytes;
  friend bool operator==(const hidden_text&, const hidden_text&) = default;
};

/// One value and where it may go. Checked where it enters (http/codec/secrets.hpp).
struct secret {
  std::string name; ///< of the variable that holds the placeholder inside
  hidden_text value;
  std::vector<std::string> hosts; ///< patterns as http/egress/host_pattern.hpp reads them
  bool allow_http = false;        ///< also in requests that everybody on the way can read
  friend bool operator==(const secret&, const secret&) = default;
};

/// A secret and what stands for it inside its sandbox.
struct placed_secret {
  secret given;
  std::string placeholder; ///< not secret, but of this sandbox alone
  friend bool operator==(const placed_secret&, const placed_secret&) = default;
};

/// A certificate authority: what signs, and what others check signatures with. PEM.
struct authority_keys {
  hidden_text key;
  std::string certificate;
  friend bool operator==(const authority_keys&, const authority_keys&) = default;
};

/// The secrets of one sandbox, and the authority that its programs trust for their hosts.
struct sandbox_secrets {
  std::vector<placed_secret> all; ///< empty: it has none, and no authority
  authority_keys authority;
  friend bool operator==(const sandbox_secrets&, const sandbox_secrets&) = default;
};

/// What callers may know of a secret.
struct secret_use {
  std::string name;
  std::vector<std::string> hosts;
  bool allow_http = false;
  friend bool operator==(const secret_use&, const secret_use&) = default;
};

inline std::vector<secret_use> uses_of(const sandbox_secrets& secrets) {
  std::vector<secret_use> uses;
  for (const auto& [given, placeholder] : secrets.all)
    uses.push_back({given.name, given.hosts, given.allow_http});
  return uses;
}

template <class Inspector>
auto inspect(Inspector& f, hidden_text& x) {
  if constexpr (std::is_same_v<std::remove_cvref_t<Inspector>, caf::detail::stringification_inspector>) {
    std::string shown = "(hidden)";
    return f(caf::meta::type_name("hidden_text"), shown);
  } else {
    return f(caf::meta::type_name("hidden_text"), x.bytes);
  }
}
template <class Inspector>
auto inspect(Inspector& f, secret& x) {
  return f(caf::meta::type_name("secret"), x.name, x.value, x.hosts, x.allow_http);
}
template <class Inspector>
auto inspect(Inspector& f, placed_secret& x) {
  return f(caf::meta::type_name("placed_secret"), x.given, x.placeholder);
}
template <class Inspector>
auto inspect(Inspector& f, authority_keys& x) {
  return f(caf::meta::type_name("authority_keys"), x.key, x.certificate);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_secrets& x) {
  return f(caf::meta::type_name("sandbox_secrets"), x.all, x.authority);
}
template <class Inspector>
auto inspect(Inspector& f, secret_use& x) {
  return f(caf::meta::type_name("secret_use"), x.name, x.hosts, x.allow_http);
}

} // namespace sandy
