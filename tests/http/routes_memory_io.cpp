// The sandbox in memory: its files, and what tests let its processes do.

#include "http/routes_support.hpp"

#include <algorithm>

namespace sandy::tests {

namespace {

/// A stream that plays events, then is silent until it is cancelled.
template <class Event, class Stream>
class played_events : public Stream {
public:
  played_events(memory_io& io, std::vector<result<Event>> events)
      : io_(io)
      , events_(events.begin(), events.end()) {
    ++io_.streams_open;
  }
  ~played_events() override { --io_.streams_open; }
  io_task<result<Event>> next() override {
    if (!events_.empty()) {
      auto event = std::move(events_.front());
      events_.pop_front();
      co_return event;
    }
    if (io_.on_silence)
      io_.on_silence();
    co_await http::routes::pause(std::chrono::hours{1});
    co_return fail(errc::internal, "the test waited for an hour");
  }

private:
  memory_io& io_;
  std::deque<result<Event>> events_;
};

class played_process final : public played_events<process_event, process_stream> {
public:
  using played_events::played_events;
  std::uint32_t process_id() const noexcept override { return 7; }
};
using played_changes = played_events<watch_event, watch_stream>;

class memory_source final : public byte_source {
public:
  memory_source(memory_io& io, std::string bytes)
      : io_(io)
      , bytes_(std::move(bytes)) {}
  io_task<result<std::string>> read() override {
    if (io_.on_read)
      io_.on_read();
    auto piece = bytes_.substr(at_, io_.piece_bytes);
    at_ += piece.size();
    co_return piece;
  }

private:
  memory_io& io_;
  std::string bytes_;
  std::size_t at_ = 0;
};

class memory_sink final : public byte_sink {
public:
  memory_sink(memory_io& io, std::string path)
      : io_(io)
      , path_(std::move(path)) {
    ++io_.sinks_open;
  }
  ~memory_sink() override { --io_.sinks_open; }
  io_task<result<void>> write(std::string_view bytes) override {
    bytes_ += bytes;
    co_return caf::unit;
  }
  io_task<result<file_info>> commit(bool base64) override {
    if (base64 && bytes_.find('*') != std::string::npos)
      co_return fail(errc::invalid_argument, "content is not valid base64");
    io_.files[path_] = {base64 ? "decoded:" + bytes_ : bytes_};
    file_info info;
    info.path = path_;
    info.size = bytes_.size();
    co_return info;
  }

private:
  memory_io& io_;
  std::string path_;
  std::string bytes_;
};

class memory_archive final : public archive_sink {
public:
  explicit memory_archive(memory_io& io)
      : io_(io) {}
  io_task<result<void>> write(std::string_view bytes) override {
    io_.unpacked += bytes;
    co_return caf::unit;
  }
  io_task<result<void>> finish() override {
    if (io_.unpacked == "no archive")
      co_return fail(errc::invalid_argument, "tar: This does not look like a tar archive");
    co_return caf::unit;
  }

private:
  memory_io& io_;
};

std::string absolute(const std::string& path) { return path.starts_with('/') ? path : "/workspace/" + path; }

caf::error no_file(const std::string& path) { return fail(errc::file_not_found, "File not found: " + path); }

} // namespace

io_task<result<std::unique_ptr<process_stream>>> memory_io::exec(process_spec spec) {
  started = std::move(spec);
  if (start_error)
    co_return start_error;
  co_return std::make_unique<played_process>(*this, events);
}

io_task<result<process_info>> memory_io::start(process_spec spec) {
  started = std::move(spec);
  if (start_error)
    co_return start_error;
  auto info = co_await process(7);
  co_return info;
}

io_task<result<std::vector<process_info>>> memory_io::processes() {
  auto info = co_await process(7);
  co_return std::vector{*info};
}

io_task<result<process_info>> memory_io::process(std::uint32_t process_id) {
  if (stuck)
    co_await http::routes::pause(std::chrono::hours{1});
  if (process_id != 7)
    co_return fail(errc::process_not_found, "No such process");
  process_info info;
  info.process_id = 7;
  info.command = started.script;
  info.terminal = started.terminal;
  co_return info;
}

io_task<result<std::unique_ptr<process_stream>>> memory_io::output(std::uint32_t, std::uint64_t offset,
                                                                   bool follow) {
  output_from = offset;
  output_followed = follow;
  co_return std::make_unique<played_process>(*this, events);
}

io_task<result<void>> memory_io::write_stdin(std::uint32_t, std::string bytes, bool close) {
  if (stuck_input) {
    on_silence();
    co_await http::routes::pause(std::chrono::hours{1});
  }
  input += bytes;
  input_closed = close;
  co_return caf::unit;
}

io_task<result<void>> memory_io::resize(std::uint32_t, terminal_size size) {
  terminal = size;
  co_return caf::unit;
}

io_task<result<void>> memory_io::signal(std::uint32_t process_id, int number, bool tree) {
  if (process_id != 7)
    co_return fail(errc::process_not_found, "No such process");
  signalled = tree ? number : -number;
  co_return caf::unit;
}

io_task<result<open_file>> memory_io::read_file(std::string path, std::uint64_t offset,
                                                std::uint64_t length) {
  auto found = files.find(absolute(path));
  if (found == files.end())
    co_return no_file(path);
  ++opened_files;
  const auto& bytes = found->second.bytes;
  open_file file;
  file.info.path = found->first;
  file.info.size = bytes.size();
  file.info.modified_at = found->second.modified_at;
  auto part =
      bytes.substr(std::min<std::size_t>(offset, bytes.size()), length == 0 ? std::string::npos : length);
  file.bytes = std::make_unique<memory_source>(*this, std::move(part));
  co_return std::move(file);
}

io_task<result<std::unique_ptr<byte_sink>>> memory_io::write_file(write_options options) {
  written = options;
  co_return std::make_unique<memory_sink>(*this, absolute(options.path));
}

io_task<result<file_info>> memory_io::stat(std::string path) {
  auto file = co_await read_file(std::move(path), 0, 0);
  if (!file)
    co_return file.error();
  co_return file->info;
}

io_task<result<std::vector<file_info>>> memory_io::list(list_options options) {
  std::vector<file_info> all;
  for (const auto& [path, file] : files) {
    file_info info;
    info.path = path.substr(absolute(options.path).size() + 1);
    info.size = file.bytes.size();
    all.push_back(info);
  }
  co_return all;
}

io_task<result<void>> memory_io::make_directory(std::string path, std::uint32_t mode) {
  files[absolute(path) + "/"] = {std::to_string(mode)};
  co_return caf::unit;
}

io_task<result<void>> memory_io::move(std::string from, std::string to, bool overwrite) {
  if (!overwrite && files.count(absolute(to)) != 0)
    co_return fail(errc::file_exists, "File exists: " + to);
  auto node = files.extract(absolute(from));
  if (node.empty())
    co_return no_file(from);
  files[absolute(to)] = std::move(node.mapped());
  co_return caf::unit;
}

io_task<result<void>> memory_io::remove(std::string path, bool) {
  if (files.erase(absolute(path)) == 0)
    co_return no_file(path);
  co_return caf::unit;
}

io_task<result<std::unique_ptr<byte_source>>> memory_io::archive(std::string directory, bool gzip) {
  if (directory == "missing")
    co_return no_file(directory);
  co_return std::make_unique<memory_source>(*this, gzip ? "gzip of " + directory : "tar of " + directory);
}

io_task<result<std::unique_ptr<archive_sink>>> memory_io::unarchive(std::string) {
  co_return std::make_unique<memory_archive>(*this);
}

io_task<result<std::unique_ptr<watch_stream>>> memory_io::watch(watch_options) {
  co_return std::make_unique<played_changes>(*this, changes);
}

} // namespace sandy::tests
