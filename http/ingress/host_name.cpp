#include "http/ingress/host_name.hpp"

#include "http/request_head.hpp"

#include <algorithm>
#include <charconv>

namespace sandy::http::ingress {

namespace {

constexpr std::size_t id_digits = 24;
constexpr std::string_view optional_prefix = "sandbox-";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view given, std::string_view lower_case) noexcept {
  return std::equal(given.begin(), given.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view text) noexcept {
  auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && blank(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string_view without_prefix(std::string_view label) noexcept {
  auto prefixed =
      label.size() > optional_prefix.size() && same(label.substr(0, optional_prefix.size()), optional_prefix);
  return prefixed ? label.substr(optional_prefix.size()) : label;
}

/// Leaves the id empty when the label is none of a sandbox.
void parse_label(std::string_view label, sandbox_host& into) {
  auto rest = without_prefix(label);
  if (auto dash = rest.find('-'); dash != std::string_view::npos) {
    into.named_port = port_of(rest.substr(0, dash));
    if (into.named_port == 0)
      return;
    auto prefixed = rest.size() != label.size();
    rest = prefixed ? rest.substr(dash + 1) : without_prefix(rest.substr(dash + 1));
  }
  if (rest.size() != id_digits)
    return;
  std::string id(rest.size(), '0');
  std::ranges::transform(rest, id.begin(), lower);
  if (is_sandbox_id(id))
    into.id.value = std::move(id);
}

} // namespace

std::uint16_t port_of(std::string_view digits) noexcept {
  std::uint16_t port = 0;
  auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  auto whole = wrong == std::errc{} && end == digits.data() + digits.size() && !digits.starts_with('0');
  return whole ? port : std::uint16_t{0};
}

std::optional<sandbox_host> parse_host(std::string_view host, std::span<const std::string> suffixes) {
  sandbox_host found;
  if (auto colon = host.find(':'); colon != std::string_view::npos) {
    auto digits = host.substr(colon + 1);
    found.host_port = port_of(digits);
    if (found.host_port == 0 && !digits.empty())
      return std::nullopt;
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) // the root may be written
    host.remove_suffix(1);
  for (const auto& suffix : suffixes) {
    if (host.size() <= suffix.size() || !same(host.substr(host.size() - suffix.size()), suffix))
      continue;
    found.named_port = 0;
    parse_label(host.substr(0, host.size() - suffix.size()), found);
    found.suffix = suffix;
    if (!found.id.value.empty()) // the end of one suffix may be another
      return found;
  }
  if (found.suffix.empty())
    return std::nullopt;
  return found;
}

std::optional<addressed_sandbox> addressed(const request_head& head, std::span<const std::string> suffixes) {
  for (std::string_view name : {"X-Sandy-Host", "X-Forwarded-Host", "Host"}) {
    auto given = head.field(name);
    given = trimmed(given.substr(0, given.find(',')));
    if (given.empty())
      continue;
    if (auto host = parse_host(given, suffixes))
      return addressed_sandbox{std::move(*host), given};
  }
  return std::nullopt;
}

std::uint16_t chosen_port(const sandbox_host& host, const port_choice& choice) noexcept {
  if (host.named_port != 0)
    return host.named_port;
  if (choice.arrival_port != 0)
    return choice.arrival_port;
  // Behind a front proxy that listens on exposed ports, the name alone tells which one the client dialled.
  if (host.host_port != 0 && host.host_port != choice.public_port &&
      std::ranges::find(choice.exposed_ports, host.host_port) != choice.exposed_ports.end())
    return host.host_port;
  return choice.runtime_port;
}

} // namespace sandy::http::ingress
