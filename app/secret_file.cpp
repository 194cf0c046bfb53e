#include "app/secret_file.hpp"

#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace sandy {

namespace {

using runtime::unique_fd;

caf::error failure(const std::string& what, const std::string& path) {
  return fail(errc::internal, "Cannot " + what + " " + path + ": " + std::strerror(errno));
}

} // namespace

result<std::string> random_hex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return failure("read", "the kernel's random source");
  std::string text;
  for (auto byte : random) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

result<std::string> kept_secret(const std::string& path, std::string_view kind,
                                const std::function<result<std::string>()>& make,
                                const std::function<bool(const std::string&)>& accept) {
  if (unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)); file) {
    std::array<char, 512> buffer{};
    auto count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0)
      return failure("read", path);
    std::string secret(buffer.data(), static_cast<std::size_t>(count));
    while (secret.ends_with('\n') || secret.ends_with('\r') || secret.ends_with(' '))
      secret.pop_back();
    if (count == static_cast<ssize_t>(buffer.size()) || !accept(secret))
      return fail(errc::invalid_argument,
                  path + " holds no " + std::string{kind} + "; remove it to have a new one made");
    if (::fchmod(file.get(), 0600) < 0)
      return failure("make private", path);
    return secret;
  }
  if (errno != ENOENT)
    return failure("read", path);

  auto secret = make();
  if (!secret)
    return secret;
  // Written beside and renamed: a server killed meanwhile leaves no half a secret.
  const auto draft = path + ".new";
  ::unlink(draft.c_str());
  unique_fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file)
    return failure("make", draft);
  auto line = *secret + "\n";
  if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      ::fsync(file.get()) < 0)
    return failure("write", draft);
  if (std::rename(draft.c_str(), path.c_str()) < 0)
    return failure("make", path);
  return secret;
}

} // namespace sandy
