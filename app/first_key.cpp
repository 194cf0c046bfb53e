#include "app/first_key.hpp"

#include "app/secret_file.hpp"

namespace sandy {

namespace {

/// "sandy_" and 160 random bits: nobody guesses it, and people recognise it where it does not belong.
result<std::string> random_key() {
  auto digits = random_hex(20);
  if (!digits)
    return digits;
  return "sandy_" + *digits;
}

bool is_key(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~+/=") ==
             std::string::npos;
}

} // namespace

result<std::string> first_key(const std::string& data_dir) {
  return kept_secret(data_dir + "/api_key", "key", random_key, is_key);
}

} // namespace sandy
