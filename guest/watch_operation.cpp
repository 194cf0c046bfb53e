#include "guest/file_operations.hpp"
#include "guest/paths.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <map>

namespace sandy::guest {
namespace {

constexpr std::uint32_t watched_events = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM |
                                         IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

/// How long the second half of a move may lag behind the first (inotify(7): the pair is not put in the queue
/// at once).
constexpr std::uint64_t move_pairing_ms = 20;

/// Reports changes below a directory. A client that does not read makes the kernel's queue overflow, which is
/// announced.
class watch_operation final : public operation, event_source, timer_target {
public:
  watch_operation(connection& link, unique_fd inotify, std::string root, const watch_request& request)
      : operation(link)
      , inotify_(std::move(inotify))
      , registration_(link.loop(), *this)
      , pairing_(link.loop(), *this)
      , root_(std::move(root))
      , recursive_(request.recursive)
      , skip_dependencies_(request.skip_dependencies) {
    to_scan_.push_back({"", false});
    link_.again();
  }

  void on_turn() override {
    for (int i = 0; i < 64 && !to_scan_.empty() && !over_; ++i)
      scan_one();
    if (over_)
      return;
    if (!to_scan_.empty())
      return link_.again();
    if (!std::exchange(answered_, true))
      link_.send(frame_type::done);
    look_for_events();
  }

  void on_writable() override {
    if (answered_)
      look_for_events();
  }

private:
  struct scan {
    std::string path;
    bool announce; ///< a directory that appeared while we watch: what is in it already is news too
  };

  std::string absolute(const std::string& path) const { return path.empty() ? root_ : root_ + '/' + path; }

  void stop(failure_kind kind, int error, std::string_view subject) {
    over_ = true;
    registration_.watch(inotify_.get(), 0);
    link_.fail(kind, error, subject);
  }

  void look_for_events() {
    if (!over_ && !registration_.watch(inotify_.get(), link_.has_room() ? EPOLLIN : 0))
      stop(failure_kind::file, errno, root_);
  }

  void look_into(std::string path, bool announce) {
    auto name = std::string_view{path}.substr(path.rfind('/') + 1); // npos + 1: all of it
    if (!skip_dependencies_ || !is_dependency(name))
      to_scan_.push_back({std::move(path), announce});
  }

  void scan_one() {
    auto [path, announce] = std::move(to_scan_.front());
    to_scan_.pop_front();
    auto directory = absolute(path);
    int wd = ::inotify_add_watch(inotify_.get(), directory.c_str(),
                                 watched_events | (path.empty() ? 0 : IN_DONT_FOLLOW));
    if (wd < 0 && (errno == ENOSPC || errno == ENOMEM))
      return stop(failure_kind::too_many, 0, "Too many directories to watch");
    if (wd < 0 && path.empty())
      return stop(failure_kind::file, errno, root_);
    if (wd < 0)
      return; // gone again, or closed to us
    paths_[wd] = path;
    if (recursive_)
      scan_contents(directory, path, announce);
  }

  void scan_contents(const std::string& directory, const std::string& path, bool announce) {
    DIR* listing = ::opendir(directory.c_str());
    if (!listing)
      return;
    while (auto* item = ::readdir(listing)) {
      std::string_view name = item->d_name;
      if (name == "." || name == ".." || name.starts_with(hidden_prefix))
        continue;
      bool is_directory = item->d_type == DT_DIR;
      if (item->d_type == DT_UNKNOWN) {
        struct stat info{};
        is_directory = ::fstatat(::dirfd(listing), item->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                       S_ISDIR(info.st_mode);
      }
      auto found = below(path, name);
      if (announce)
        report({change_kind::created, found, {}, is_directory});
      if (is_directory && directory.size() + name.size() + 2 < PATH_MAX)
        look_into(std::move(found), announce);
    }
    ::closedir(listing);
  }

  static std::string below(const std::string& directory, std::string_view name) {
    return directory.empty() ? std::string{name} : directory + '/' + std::string{name};
  }

  void on_events(std::uint32_t) override {
    alignas(inotify_event) char buffer[8192];
    auto count = ::read(inotify_.get(), buffer, sizeof buffer);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      return stop(failure_kind::file, errno, root_);
    for (char* at = buffer; count > 0 && at < buffer + count && !over_;) {
      auto* event = reinterpret_cast<inotify_event*>(at);
      on_change(*event, event->len > 0 ? std::string_view{event->name} : std::string_view{});
      at += sizeof *event + event->len;
    }
    last_modified_.clear();
    if (over_)
      return;
    link_.flush();
    if (!to_scan_.empty())
      link_.again();
    look_for_events();
  }

  void on_change(const inotify_event& event, std::string_view name) {
    if (event.mask & IN_Q_OVERFLOW)
      return report({change_kind::overflow, {}, {}, false});
    auto where = paths_.find(event.wd);
    if (where == paths_.end())
      return;
    if (event.mask & (IN_IGNORED | IN_DELETE_SELF)) {
      if (where->second.empty())
        return stop(failure_kind::file, ENOENT, root_);
      if (event.mask & IN_IGNORED)
        paths_.erase(where);
      return;
    }
    bool directory = event.mask & IN_ISDIR;
    auto path = below(where->second, name);
    // A file that is being written by the file interface shows when it is put in place; its hidden name says
    // whether it replaces another.
    bool hidden = name.starts_with(hidden_prefix);
    if (event.mask & IN_MOVED_FROM) {
      settle_move();
      moving_ = {std::move(path), event.cookie, directory, hidden,
                 hidden && name.size() > hidden_prefix.size() && name[hidden_prefix.size()] == 'm'};
      pairing_.start(move_pairing_ms);
      return;
    }
    if (hidden)
      return;
    if (event.mask & IN_MOVED_TO)
      return on_moved_to(event.cookie, std::move(path), directory);
    settle_move();
    if (event.mask & IN_CREATE)
      on_created(std::move(path), directory);
    else if (event.mask & IN_DELETE)
      report({change_kind::deleted, std::move(path), {}, directory});
    else if ((event.mask & (IN_MODIFY | IN_CLOSE_WRITE)) && path != last_modified_) {
      last_modified_ = path;
      report({change_kind::modified, std::move(path), {}, directory});
    }
  }

  void on_created(std::string path, bool directory) {
    if (directory && recursive_)
      look_into(path, true);
    report({change_kind::created, std::move(path), {}, directory});
  }

  void on_moved_to(std::uint32_t cookie, std::string path, bool directory) {
    bool paired = moving_.cookie == cookie && cookie != 0;
    if (!paired)
      settle_move();
    auto from = std::exchange(moving_, {});
    pairing_.stop();
    if (paired && from.hidden)
      return report(
          {from.replaces ? change_kind::modified : change_kind::created, std::move(path), {}, false});
    if (directory && paired)
      follow_move(from.path, path);
    else if (directory && recursive_)
      look_into(path, true);
    report({change_kind::moved, std::move(path), paired ? std::move(from.path) : std::string{}, directory});
  }

  static bool is_at_or_below(const std::string& path, const std::string& directory) {
    return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
  }

  /// The watches of a directory go with it: only the names we tell have to change, and where we look yet.
  void follow_move(const std::string& from, const std::string& to) {
    bool known = false;
    auto rename = [&](std::string& path) {
      if (!is_at_or_below(path, from))
        return;
      path.replace(0, from.size(), to);
      known |= path == to;
    };
    for (auto& [wd, path] : paths_)
      rename(path);
    for (auto& each : to_scan_)
      rename(each.path);
    // It may have been moved before we looked into it, be none of those that we look into, or we may have
    // looked into what has its old name now: look again, which changes nothing where all is right.
    if (recursive_)
      look_into(to, !known);
  }

  /// The second half of a move did not come: the file went out of what we watch.
  void settle_move() {
    auto from = std::exchange(moving_, {});
    pairing_.stop();
    if (from.cookie == 0 || from.hidden)
      return;
    if (from.directory)
      forget_watches(from.path);
    report({change_kind::deleted, std::move(from.path), {}, from.directory});
  }

  void forget_watches(const std::string& gone) {
    for (auto& [wd, path] : paths_)
      if (is_at_or_below(path, gone))
        ::inotify_rm_watch(inotify_.get(), wd); // answered with IN_IGNORED, which removes the entry
  }

  void on_timer() override {
    settle_move();
    link_.flush();
  }

  void report(const change& what) {
    if (what.kind != change_kind::modified)
      last_modified_.clear();
    link_.queue(what);
  }

  struct half_move {
    std::string path;
    std::uint32_t cookie = 0;
    bool directory = false, hidden = false, replaces = false;
  };

  unique_fd inotify_;
  registration registration_;
  timer pairing_;
  std::string root_;
  bool recursive_, skip_dependencies_, answered_ = false, over_ = false;
  std::map<int, std::string> paths_; ///< by watch, relative to the root
  std::deque<scan> to_scan_;
  half_move moving_;
  std::string last_modified_; ///< a file written in many pieces is told once per batch
};

} // namespace

std::unique_ptr<operation> start_watch(connection& link, const watch_request& request) {
  int error = check_path(request.path);
  unique_fd inotify;
  if (error == 0) {
    inotify.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify && (errno == EMFILE || errno == ENFILE)) {
      link.fail(failure_kind::too_many, 0, "Too many watches");
      return nullptr;
    }
    error = inotify ? 0 : errno;
  }
  if (error != 0) {
    fail_file(link, error, request.path);
    return nullptr;
  }
  auto root = request.path;
  while (root.size() > 1 && root.back() == '/')
    root.pop_back();
  return std::make_unique<watch_operation>(link, std::move(inotify), std::move(root), request);
}

} // namespace sandy::guest
