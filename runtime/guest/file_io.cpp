#include "runtime/guest/guest_io.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sandy::guest {

namespace {

file_info info_of(entry from) {
  file_info info;
  info.path = std::move(from.path);
  switch (from.kind) {
  case entry_kind::regular:
    info.kind = file_kind::regular;
    break;
  case entry_kind::directory:
    info.kind = file_kind::directory;
    break;
  case entry_kind::symlink:
    info.kind = file_kind::symlink;
    break;
  default:
    info.kind = file_kind::other;
    break;
  }
  info.size = from.size;
  info.mode = from.mode;
  info.modified_at = from.modified_at_ms;
  info.target = std::move(from.target);
  return info;
}

class file_source final : public byte_source {
public:
  explicit file_source(std::unique_ptr<connection> link)
      : link_(std::move(link)) {}

  io_task<result<std::string>> read() override {
    if (ended_)
      co_return std::string{};
    auto frame = co_await link_->receive();
    if (!frame)
      co_return std::move(frame.error());
    if (frame->type == frame_type::data && !frame->payload.empty())
      co_return std::move(frame->payload);
    if (frame->type != frame_type::end)
      co_return link_->violation();
    ended_ = true;
    co_return std::string{};
  }

private:
  std::unique_ptr<connection> link_;
  bool ended_ = false;
};

class file_sink final : public byte_sink {
public:
  explicit file_sink(std::unique_ptr<connection> link)
      : link_(std::move(link)) {}

  io_task<result<void>> write(std::string_view bytes) override {
    std::string frames;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece_bytes)))
      append_frame(frames, frame_type::data, bytes.substr(0, piece_bytes));
    auto sent = co_await link_->send(std::move(frames));
    co_return std::move(sent);
  }

  io_task<result<file_info>> commit(bool base64) override {
    std::string frame;
    append_frame(frame, commit_request{base64});
    auto sent = co_await link_->send(std::move(frame));
    if (!sent)
      co_return std::move(sent.error());
    auto placed = co_await link_->receive_as<entry>();
    if (!placed)
      co_return std::move(placed.error());
    co_return info_of(std::move(*placed));
  }

private:
  std::unique_ptr<connection> link_;
};

class directory_watch final : public watch_stream {
public:
  explicit directory_watch(std::unique_ptr<connection> link)
      : link_(std::move(link)) {}

  io_task<result<watch_event>> next() override {
    auto seen = co_await link_->receive_as<change>();
    if (!seen)
      co_return std::move(seen.error());
    auto kind = word(seen->kind);
    if (!kind)
      co_return link_->violation();
    co_return watch_event{kind, std::move(seen->path), std::move(seen->from), seen->directory};
  }

private:
  static const char* word(change_kind kind) {
    switch (kind) {
    case change_kind::created:
      return "created";
    case change_kind::modified:
      return "modified";
    case change_kind::deleted:
      return "deleted";
    case change_kind::moved:
      return "moved";
    case change_kind::overflow:
      return "overflow";
    }
    return nullptr;
  }

  std::unique_ptr<connection> link_;
};

} // namespace

io_task<result<open_file>> guest_io::read_file(std::string path, std::uint64_t offset, std::uint64_t length) {
  auto full = absolute_path(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto asked = co_await ask_with(read_request{std::move(*full), offset, length});
  if (!asked)
    co_return std::move(asked.error());
  auto found = co_await (*asked)->receive_as<entry>();
  if (!found)
    co_return std::move(found.error());
  co_return open_file{info_of(std::move(*found)), std::make_unique<file_source>(std::move(*asked))};
}

io_task<result<std::unique_ptr<byte_sink>>> guest_io::write_file(write_options options) {
  auto full = absolute_path(std::move(options.path));
  if (!full)
    co_return std::move(full.error());
  auto asked = co_await ask_with(write_request{std::move(*full), options.mode, options.keep_mode});
  if (!asked)
    co_return std::move(asked.error());
  auto opened = co_await (*asked)->expect(frame_type::done);
  if (!opened)
    co_return std::move(opened.error());
  co_return std::make_unique<file_sink>(std::move(*asked));
}

io_task<result<file_info>> guest_io::stat(std::string path) {
  auto full = absolute_path(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto asked = co_await ask_with(path_request{std::move(*full)});
  if (!asked)
    co_return std::move(asked.error());
  auto found = co_await (*asked)->receive_as<entry>();
  if (!found)
    co_return std::move(found.error());
  co_return info_of(std::move(*found));
}

io_task<result<std::vector<file_info>>> guest_io::list(list_options options) {
  auto full = absolute_path(std::move(options.path));
  if (!full)
    co_return std::move(full.error());
  auto asked = co_await ask_with(
      list_request{std::move(*full), options.recursive, options.skip_dependencies, options.max_entries});
  if (!asked)
    co_return std::move(asked.error());
  std::vector<file_info> files;
  for (;;) {
    auto frame = co_await (*asked)->receive();
    if (!frame)
      co_return std::move(frame.error());
    if (frame->type == frame_type::done)
      co_return std::move(files);
    auto found = frame->type == entry::type ? decode<entry>(frame->payload) : std::nullopt;
    if (!found || files.size() >= options.max_entries)
      co_return (*asked)->violation();
    files.push_back(info_of(std::move(*found)));
  }
}

io_task<result<void>> guest_io::make_directory(std::string path, std::uint32_t mode) {
  auto full = absolute_path(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto outcome = co_await do_one(directory_request{std::move(*full), mode});
  co_return std::move(outcome);
}

io_task<result<void>> guest_io::move(std::string from, std::string to, bool overwrite) {
  auto full_from = absolute_path(std::move(from));
  auto full_to = absolute_path(std::move(to));
  if (!full_from || !full_to)
    co_return fail(errc::invalid_argument, "The path contains a NUL byte");
  auto asked = co_await ask_with(move_request{*full_from, *full_to, overwrite});
  if (!asked)
    co_return std::move(asked.error());
  auto outcome = co_await (*asked)->expect(frame_type::done);
  if (!outcome && (*asked)->refused_with(EXDEV))
    outcome = co_await move_by_copy(std::move(*full_from), std::move(*full_to), overwrite);
  co_return std::move(outcome);
}

io_task<result<void>> guest_io::move_by_copy(std::string from, std::string to, bool overwrite) {
  if (!overwrite) {
    auto present = co_await stat(to);
    if (present)
      co_return fail(errc::file_exists, "File exists: " + to);
  }
  process_spec mv;
  mv.argv = {"mv", "--no-target-directory", overwrite ? "--force" : "--no-clobber",
             "--", std::move(from),         std::move(to)};
  mv.cwd = "/";
  mv.kill_on_disconnect = true;
  auto copied = co_await run_program(std::move(mv));
  co_return std::move(copied);
}

io_task<result<void>> guest_io::remove(std::string path, bool recursive) {
  auto full = absolute_path(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto outcome = co_await do_one(remove_request{std::move(*full), recursive});
  co_return std::move(outcome);
}

io_task<result<std::unique_ptr<watch_stream>>> guest_io::watch(watch_options options) {
  auto full = absolute_path(std::move(options.path));
  if (!full)
    co_return std::move(full.error());
  auto asked =
      co_await ask_with(watch_request{std::move(*full), options.recursive, options.skip_dependencies});
  if (!asked)
    co_return std::move(asked.error());
  auto begun = co_await (*asked)->expect(frame_type::done);
  if (!begun)
    co_return std::move(begun.error());
  co_return std::make_unique<directory_watch>(std::move(*asked));
}

} // namespace sandy::guest
