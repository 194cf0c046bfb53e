#include "app/first_key.hpp"

#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sandy {

namespace {

using runtime::unique_fd;

caf::error failure(const std::string& what, const std::string& path) {
  return fail(errc::internal, "Cannot " + what + " " + path + ": " + std::strerror(errno));
}

/// "sandy_" and 160 random bits: nobody guesses it, and people recognise it where it does not belong.
result<std::string> random_key() {
  std::array<unsigned char, 20> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return failure("read", "the kernel's random source");
  std::string key = "sandy_";
  for (auto byte : random) {
    constexpr std::string_view digits = "0123456789abcdef";
    key += digits[byte >> 4];
    key += digits[byte & 15];
  }
  return key;
}

result<std::string> read_key(int fd, const std::string& path) {
  std::array<char, 512> buffer{};
  auto count = ::read(fd, buffer.data(), buffer.size());
  if (count < 0)
    return failure("read", path);
  std::string key(buffer.data(), static_cast<std::size_t>(count));
  while (key.ends_with('\n') || key.ends_with('\r') || key.ends_with(' '))
    key.pop_back();
  if (key.empty() || count == static_cast<ssize_t>(buffer.size()) ||
      key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~+/=") !=
          std::string::npos)
    return fail(errc::invalid_argument, path + " holds no key; remove it to have a new one made");
  if (::fchmod(fd, 0600) < 0)
    return failure("make private", path);
  return key;
}

} // namespace

result<std::string> first_key(const std::string& data_dir) {
  const auto path = data_dir + "/api_key", draft = path + ".new";
  if (unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)); file)
    return read_key(file.get(), path);
  if (errno != ENOENT)
    return failure("read", path);

  auto key = random_key();
  if (!key)
    return key;
  // Written beside and renamed: a server killed meanwhile leaves no half a key.
  ::unlink(draft.c_str());
  unique_fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file)
    return failure("make", draft);
  auto line = *key + "\n";
  if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      ::fsync(file.get()) < 0)
    return failure("write", draft);
  if (std::rename(draft.c_str(), path.c_str()) < 0)
    return failure("make", path);
  return key;
}

} // namespace sandy
