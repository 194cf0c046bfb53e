#include "http/client/name_lookup.hpp"

#include "http/timed.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace sandy::http::client {

namespace net = boost::asio;

namespace {

using clock = std::chrono::steady_clock;

/// Hosts move seldom, and who connects to the wrong one tries again.
constexpr std::chrono::seconds kept{30};
constexpr std::size_t most_kept = 256;

caf::error not_found(const std::string& why) { return fail(errc::upstream_error, why); }

result<name_lookup::addresses> ask_machine(const std::string& name) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (auto code = ::getaddrinfo(name.c_str(), nullptr, &wanted, &list); code != 0)
    return not_found(::gai_strerror(code));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{list, ::freeaddrinfo};
  name_lookup::addresses found;
  auto add = [&](net::ip::address each) {
    if (std::find(found.begin(), found.end(), each) == found.end())
      found.push_back(each);
  };
  for (const auto* each = list; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      sockaddr_in place{};
      std::memcpy(&place, each->ai_addr, sizeof place);
      add(net::ip::address_v4{ntohl(place.sin_addr.s_addr)});
    } else if (each->ai_family == AF_INET6) {
      sockaddr_in6 place{};
      std::memcpy(&place, each->ai_addr, sizeof place);
      net::ip::address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), &place.sin6_addr, bytes.size());
      add(net::ip::address_v6{bytes, place.sin6_scope_id});
    }
  }
  if (found.empty())
    return not_found("it has no address");
  return found;
}

} // namespace

/// One name's look-up. What it found is read and written under the state's mutex.
struct name_lookup::search {
  runtime::unique_fd over; ///< an eventfd: readable from then on
  bool is_over = false;
  clock::time_point ended;
  result<addresses> found = addresses{};

  bool is_good(clock::time_point now) const { return !is_over || (found && now - ended < kept); }
};

struct name_lookup::state {
  explicit state(look function)
      : how(std::move(function)) {}
  const look how;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<search>> all;
  std::size_t running = 0;
};

name_lookup::name_lookup()
    : name_lookup(ask_machine) {}

name_lookup::name_lookup(look how)
    : state_(std::make_shared<state>(std::move(how))) {}

result<std::shared_ptr<name_lookup::search>> name_lookup::begin(const std::shared_ptr<state>& all,
                                                                const std::string& name) {
  std::lock_guard lock{all->mutex};
  const auto now = clock::now();
  if (auto known = all->all.find(name); known != all->all.end() && known->second->is_good(now))
    return known->second;
  if (all->running >= most_at_once)
    return not_found("too many names are being looked up");
  if (all->all.size() >= most_kept)
    std::erase_if(all->all, [](const auto& each) { return each.second->is_over; });
  auto made = std::make_shared<search>();
  made->over.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->over)
    return not_found("there are no descriptors left");
  auto work = [all, made, name] {
    result<addresses> found = addresses{};
    try {
      found = all->how(name);
    } catch (const std::exception& e) {
      found = not_found(e.what());
    }
    {
      std::lock_guard over{all->mutex};
      made->found = std::move(found);
      made->is_over = true;
      made->ended = clock::now();
      --all->running;
    }
    ::eventfd_write(made->over.get(), 1);
  };
  try {
    std::thread{std::move(work)}.detach(); // it owns all that it uses, and nobody can end it
  } catch (const std::system_error& e) {
    return not_found(e.what());
  }
  ++all->running;
  all->all.insert_or_assign(name, made);
  return made;
}

io_task<result<name_lookup::addresses>> name_lookup::find(std::string name) const {
  boost::system::error_code no_literal;
  if (auto literal = net::ip::make_address(name, no_literal); !no_literal)
    co_return addresses{literal};
  const auto all = state_;
  auto begun = begin(all, name);
  if (!begun)
    co_return std::move(begun.error());
  const auto search = *begun;
  {
    std::lock_guard lock{all->mutex};
    if (search->is_over)
      co_return search->found;
  }
  auto executor = co_await net::this_coro::executor;
  // A descriptor of its own for everybody who waits: each belongs to one io_context.
  runtime::unique_fd watched{::fcntl(search->over.get(), F_DUPFD_CLOEXEC, 0)};
  if (!watched)
    co_return not_found("there are no descriptors left");
  net::posix::basic_stream_descriptor<io_executor> event{executor, watched.release()};
  auto waited = co_await event.async_wait(net::posix::descriptor_base::wait_read, as_values);
  if (std::get<0>(waited))
    co_return fail(errc::cancelled, "nobody waits for its address any more");
  std::lock_guard lock{all->mutex};
  co_return search->found;
}

} // namespace sandy::http::client
