#include "app/platform_service.hpp"

#include "app/setting_kinds.hpp"
#include "app/units.hpp"
#include "metrics/log.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace sandy {

namespace {

using http::platform::service_settings;
using http::platform::translation;

template <class T, class U>
result<void> keep(T& into, result<U> value) {
  if (!value)
    return std::move(value.error());
  into = std::move(*value);
  return caf::unit;
}

result<translation> translation_of(const std::string& text) {
  if (text == "memory_query")
    return translation::memory_query;
  if (text == "memory_store")
    return translation::memory_store;
  return wrong("is neither memory_query nor memory_store");
}

/// A key in a file may have a line end behind it.
result<std::string> read_key(const std::string& path) {
  std::ifstream file{path};
  std::string text{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
  if (!file)
    return wrong("has a key_file that cannot be read: " + path + ": " + std::strerror(errno));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  if (text.empty())
    return wrong("has a key_file with nothing in it: " + path);
  return text;
}

} // namespace

platform_service_reader::platform_service_reader(std::string name)
    : made_(http::platform::known_service(name)) {}

result<void> platform_service_reader::set(std::string_view key, const std::string& text) {
  if (key == "target")
    made_.target = text;
  else if (key == "path")
    made_.path = text;
  else if (key == "aliases")
    return keep(made_.aliases, list_kind::parse(text));
  else if (key == "methods")
    return keep(made_.methods, list_kind::parse(text));
  else if (key == "timeout")
    return keep(made_.timeout, parse_duration(text));
  else if (key == "auth_header")
    made_.auth_header = text;
  else if (key == "auth_prefix")
    made_.auth_prefix = text;
  else if (key == "key")
    made_.key = text;
  else if (key == "key_file")
    key_file_ = text;
  else if (key == "key_env")
    key_variable_ = text;
  else if (key == "user_key")
    return keep(made_.user_key, boolean_kind::parse(text));
  else if (key == "max_request")
    return keep(made_.max_request_bytes, parse_size(text));
  else if (key == "max_answer")
    return keep(made_.max_answer_bytes, parse_size(text));
  else if (key == "price")
    return keep(made_.price, http::platform::parse_amount(text));
  else if (key == "count_tokens")
    return keep(made_.count_tokens, boolean_kind::parse(text));
  else if (key == "include_usage")
    return keep(made_.include_usage, boolean_kind::parse(text));
  else if (key == "retry_safe")
    return keep(made_.retry_safe, boolean_kind::parse(text));
  else if (key == "translate")
    return keep(made_.translate, translation_of(text));
  else if (key == "pass_headers")
    return keep(made_.pass_headers, list_kind::parse(text));
  else
    return wrong("is not known");
  return caf::unit;
}

result<service_settings> platform_service_reader::finish() {
  if (!made_.key.empty() + key_file_.has_value() + key_variable_.has_value() > 1)
    return wrong("has more than one of key, key_file and key_env");
  if (key_file_) {
    auto key = read_key(*key_file_);
    if (!key)
      return std::move(key.error());
    made_.key = std::move(*key);
  }
  if (key_variable_) {
    const char* value = std::getenv(key_variable_->c_str());
    if (value == nullptr || *value == '\0')
      return wrong("has a key_env that is not set: " + *key_variable_);
    made_.key = value;
  }
  if (auto good = http::platform::check(made_); !good)
    return std::move(good.error());
  return std::move(made_);
}

void show_platform(std::ostream& out, const http::platform::settings& all) {
  for (const auto& each : all.services) {
    out << "\n[platform." << each.name << "]\npath = " << json_quoted(each.path) << '\n';
    if (!each.aliases.empty())
      out << "aliases = " << json_quoted(list_kind::print(each.aliases)) << '\n';
    out << "target = " << json_quoted(each.target)
        << "\nmethods = " << json_quoted(list_kind::print(each.methods))
        << "\ntimeout = " << json_quoted(print_duration(each.timeout)) << '\n';
    if (!each.key.empty())
      out << "# key is set and not shown\nauth_header = " << json_quoted(each.auth_header)
          << "\nauth_prefix = " << json_quoted(each.auth_prefix) << '\n';
    out << "max_request = " << json_quoted(print_size(each.max_request_bytes))
        << "\nmax_answer = " << json_quoted(print_size(each.max_answer_bytes))
        << "\nprice = " << json_quoted(http::platform::print_amount(each.price)) << '\n';
    auto flag = [&](const char* name, bool value) {
      out << name << " = " << (value ? "true" : "false") << '\n';
    };
    flag("user_key", each.user_key);
    flag("count_tokens", each.count_tokens);
    flag("include_usage", each.include_usage);
    flag("retry_safe", each.retry_safe);
    if (each.translate != translation::none)
      out << "translate = "
          << json_quoted(each.translate == translation::memory_query ? "memory_query" : "memory_store")
          << '\n';
    if (!each.pass_headers.empty())
      out << "pass_headers = " << json_quoted(list_kind::print(each.pass_headers)) << '\n';
  }
  for (const auto& [model, price] : all.prices)
    out << "\n[platform_prices." << json_quoted(model)
        << "]\ninput = " << json_quoted(http::platform::print_amount(price.input))
        << "\noutput = " << json_quoted(http::platform::print_amount(price.output)) << '\n';
}

} // namespace sandy
