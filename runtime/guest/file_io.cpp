#include "runtime/guest/guest_io.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace sandy::guest {

namespace {

/// Where relative paths of the file routes begin, whatever the sandbox's working directory is.
constexpr std::string_view workspace = "/workspace";
/// What tar says is kept up to here for the caller.
constexpr std::size_t max_complaint = 4096;

/// An absolute path; nothing for one that no file can have.
result<std::string> absolute(std::string path) {
  if (path.find('\0') != std::string::npos)
    return fail(errc::invalid_argument, "The path contains a NUL byte");
  if (path.empty())
    return std::string{workspace};
  if (path.front() != '/')
    path.insert(0, std::string{workspace} + "/");
  return path;
}

file_info info_of(entry from) {
  file_info info;
  info.path = std::move(from.path);
  switch (from.kind) {
    case entry_kind::regular: info.kind = file_kind::regular; break;
    case entry_kind::directory: info.kind = file_kind::directory; break;
    case entry_kind::symlink: info.kind = file_kind::symlink; break;
    default: info.kind = file_kind::other; break;
  }
  info.size = from.size;
  info.mode = from.mode;
  info.modified_at = from.modified_at_ms;
  info.target = std::move(from.target);
  return info;
}

class file_source final : public byte_source {
public:
  explicit file_source(std::unique_ptr<connection> link) : link_(std::move(link)) {}

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
  explicit file_sink(std::unique_ptr<connection> link) : link_(std::move(link)) {}

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

/// The standard output of a program inside the sandbox, as a file. Its end is an error when the program failed.
class program_source final : public byte_source {
public:
  explicit program_source(std::unique_ptr<process_stream> program) : program_(std::move(program)) {}

  io_task<result<std::string>> read() override {
    while (!ended_) {
      auto event = co_await program_->next();
      if (!event)
        co_return std::move(event.error());
      if (auto* chunk = std::get_if<output_chunk>(&*event)) {
        if (chunk->stream == output_stream::standard_output)
          co_return std::move(chunk->bytes);
        complaint_.append(chunk->bytes, 0, max_complaint - std::min(complaint_.size(), max_complaint));
      } else if (auto* exit = std::get_if<process_exit>(&*event)) {
        ended_ = true;
        if (exit->exit_code != 0)
          co_return fail(errc::sandbox_failed, "tar failed: " + complaint_);
      }
    }
    co_return std::string{};
  }

private:
  std::unique_ptr<process_stream> program_;
  std::string complaint_;
  bool ended_ = false;
};

/// The standard input of tar inside the sandbox, which is started by the first bytes: tar cannot look twice at a pipe, so it
/// must be told whether they are compressed. What tar says is read at the end: it complains a little, and stops reading,
/// which `send` notices.
class tar_sink final : public archive_sink {
public:
  using starter = std::function<io_task<result<std::unique_ptr<connection>>>(bool gzip)>;
  explicit tar_sink(starter start) : start_(std::move(start)) {}

  io_task<result<void>> write(std::string_view bytes) override {
    held_.append(bytes);
    if (!link_ && held_.size() < magic_bytes)
      co_return caf::unit;
    auto sent = co_await send_held();
    co_return std::move(sent);
  }

  io_task<result<void>> finish() override {
    auto sent = co_await send_held();
    if (!sent)
      co_return std::move(sent);
    std::string frame;
    append_frame(frame, frame_type::stdin_end);
    sent = co_await link_->send(std::move(frame));
    if (!sent)
      co_return std::move(sent);
    std::string complaint;
    for (;;) {
      auto next = co_await link_->receive();
      if (!next)
        co_return std::move(next.error());
      if (next->type == frame_type::chunk && next->payload.size() >= chunk_head::size) {
        complaint.append(next->payload, chunk_head::size, max_complaint - std::min(complaint.size(), max_complaint));
        continue;
      }
      auto exit = next->type == exited::type ? decode<exited>(next->payload) : std::nullopt;
      if (!exit)
        co_return link_->violation();
      if (exit->exit_code != 0)
        co_return fail(errc::invalid_argument, "The archive was refused: " + complaint);
      co_return caf::unit;
    }
  }

private:
  static constexpr std::size_t magic_bytes = 2;

  io_task<result<void>> send_held() {
    if (!link_) {
      auto started = co_await start_(held_.starts_with("\x1f\x8b"));
      if (!started)
        co_return std::move(started.error());
      link_ = std::move(*started);
    }
    std::string frames;
    auto held = std::exchange(held_, {});
    for (std::string_view rest = held; !rest.empty(); rest.remove_prefix(std::min(rest.size(), piece_bytes)))
      append_frame(frames, frame_type::stdin_data, rest.substr(0, piece_bytes));
    auto sent = co_await link_->send(std::move(frames));
    co_return std::move(sent);
  }

  starter start_;
  std::unique_ptr<connection> link_;
  std::string held_;
};

class directory_watch final : public watch_stream {
public:
  explicit directory_watch(std::unique_ptr<connection> link) : link_(std::move(link)) {}

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
      case change_kind::created: return "created";
      case change_kind::modified: return "modified";
      case change_kind::deleted: return "deleted";
      case change_kind::moved: return "moved";
      case change_kind::overflow: return "overflow";
    }
    return nullptr;
  }

  std::unique_ptr<connection> link_;
};

} // namespace

io_task<result<open_file>> guest_io::read_file(std::string path, std::uint64_t offset, std::uint64_t length) {
  auto full = absolute(std::move(path));
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
  auto full = absolute(std::move(options.path));
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
  auto full = absolute(std::move(path));
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
  auto full = absolute(std::move(options.path));
  if (!full)
    co_return std::move(full.error());
  auto asked
    = co_await ask_with(list_request{std::move(*full), options.recursive, options.skip_dependencies, options.max_entries});
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
  auto full = absolute(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto outcome = co_await do_one(directory_request{std::move(*full), mode});
  co_return std::move(outcome);
}

io_task<result<void>> guest_io::move(std::string from, std::string to, bool overwrite) {
  auto full_from = absolute(std::move(from));
  auto full_to = absolute(std::move(to));
  if (!full_from || !full_to)
    co_return fail(errc::invalid_argument, "The path contains a NUL byte");
  auto outcome = co_await do_one(move_request{std::move(*full_from), std::move(*full_to), overwrite});
  co_return std::move(outcome);
}

io_task<result<void>> guest_io::remove(std::string path, bool recursive) {
  auto full = absolute(std::move(path));
  if (!full)
    co_return std::move(full.error());
  auto outcome = co_await do_one(remove_request{std::move(*full), recursive});
  co_return std::move(outcome);
}

io_task<result<std::unique_ptr<byte_source>>> guest_io::archive(std::string directory, bool gzip) {
  auto full = absolute(std::move(directory));
  if (!full)
    co_return std::move(full.error());
  // Asked first: tar says what is wrong only when the answer has begun.
  auto found = co_await stat(*full);
  if (found && found->kind == file_kind::symlink)
    found = co_await stat(*full + "/.");
  if (!found)
    co_return std::move(found.error());
  if (found->kind != file_kind::directory)
    co_return fail(errc::not_a_directory, "Not a directory: " + *full);
  process_spec tar;
  tar.argv = {"tar", "--create", gzip ? "--gzip" : "--no-auto-compress", "--directory", *full, "--", "."};
  tar.cwd = "/";
  tar.kill_on_disconnect = true;
  auto program = co_await exec(std::move(tar));
  if (!program)
    co_return std::move(program.error());
  co_return std::make_unique<program_source>(std::move(*program));
}

io_task<result<std::unique_ptr<archive_sink>>> guest_io::unarchive(std::string directory) {
  auto full = absolute(std::move(directory));
  if (!full)
    co_return std::move(full.error());
  auto made = co_await make_directory(*full, 0755);
  if (!made)
    co_return std::move(made.error());
  co_return std::make_unique<tar_sink>(
    [self = shared_from_this(), directory_path = *full](bool gzip) { return self->start_tar(directory_path, gzip); });
}

io_task<result<guest_io::link>> guest_io::start_tar(std::string directory, bool gzip) {
  process_spec tar;
  tar.argv = {"tar", "--extract", gzip ? "--gzip" : "--no-auto-compress", "--directory", std::move(directory)};
  tar.cwd = "/";
  tar.open_stdin = true;
  tar.kill_on_disconnect = true;
  auto asked = co_await spawn(std::move(tar), 0);
  if (!asked)
    co_return std::move(asked.error());
  auto begun = co_await (*asked)->receive_as<started>();
  if (!begun)
    co_return std::move(begun.error());
  co_return std::move(*asked);
}

io_task<result<std::unique_ptr<watch_stream>>> guest_io::watch(std::string directory, bool recursive) {
  auto full = absolute(std::move(directory));
  if (!full)
    co_return std::move(full.error());
  auto asked = co_await ask_with(watch_request{std::move(*full), recursive});
  if (!asked)
    co_return std::move(asked.error());
  auto begun = co_await (*asked)->expect(frame_type::done);
  if (!begun)
    co_return std::move(begun.error());
  co_return std::make_unique<directory_watch>(std::move(*asked));
}

} // namespace sandy::guest
