#pragma once

#include <caf/meta/type_name.hpp>

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace sandy {

/// Names a sandbox for ever: 24 lower-case hex digits, never reused. The first six name its node (see
/// cluster.hpp), the others are from the kernel's random source. Legal as a host label.
struct sandbox_id {
  std::string value;
  friend auto operator<=>(const sandbox_id&, const sandbox_id&) = default;
};

/// Names an owner of sandboxes; comes with the API key. Empty: nobody (a warm sandbox).
struct tenant_id {
  std::string value;
  friend auto operator<=>(const tenant_id&, const tenant_id&) = default;
};

/// Names what one sandbox wrote, kept as a layer for others; the same form as a sandbox's. Empty: none.
struct layer_id {
  std::string value;
  friend auto operator<=>(const layer_id&, const layer_id&) = default;
};

/// Who asks: a tenant with one of its keys, or one of its sandboxes with its own token. A sandbox reaches
/// itself and what descends from it, nothing else of its tenant.
struct principal {
  principal() = default;
  principal(tenant_id whose, sandbox_id which = {})
      : tenant(std::move(whose))
      , sandbox(std::move(which)) {}
  tenant_id tenant;
  sandbox_id sandbox; ///< empty: the tenant itself
  bool admin = false; ///< may change what tenants are allowed
  friend bool operator==(const principal&, const principal&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, sandbox_id& x) {
  return f(caf::meta::type_name("sandbox_id"), x.value);
}

template <class Inspector>
auto inspect(Inspector& f, tenant_id& x) {
  return f(caf::meta::type_name("tenant_id"), x.value);
}

template <class Inspector>
auto inspect(Inspector& f, layer_id& x) {
  return f(caf::meta::type_name("layer_id"), x.value);
}

template <class Inspector>
auto inspect(Inspector& f, principal& x) {
  return f(caf::meta::type_name("principal"), x.tenant, x.sandbox, x.admin);
}

/// A new id. At least 72 random bits: knowing an id must be worth something, so it cannot be guessed.
/// @param node its first digits; empty: random ones.
sandbox_id make_sandbox_id(std::string_view node = {});

/// True for 24 lower-case hex digits. Anything else is unknown without looking.
bool is_sandbox_id(std::string_view text) noexcept;

layer_id make_layer_id();
bool is_layer_id(std::string_view text) noexcept;

} // namespace sandy

template <>
struct std::hash<sandy::sandbox_id> {
  std::size_t operator()(const sandy::sandbox_id& id) const noexcept {
    return std::hash<std::string>{}(id.value);
  }
};
