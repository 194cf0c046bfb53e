#include "runtime/guest/guest_io.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <functional>
#include <utility>

// What programs of the sandbox do for us: tar packs and unpacks, because it knows every kind of file there
// is.

namespace sandy::guest {

namespace {

/// What a program says is kept up to here for the caller.
constexpr std::size_t max_complaint = 4096;

void keep(std::string& complaint, std::string_view more) {
  complaint.append(more.substr(0, max_complaint - std::min(complaint.size(), max_complaint)));
}

/// An archive as tar writes it.
class tar_source final : public byte_source {
public:
  explicit tar_source(std::unique_ptr<process_stream> program)
      : program_(std::move(program)) {}

  io_task<result<std::string>> read() override {
    while (!ended_) {
      auto event = co_await program_->next();
      if (!event)
        co_return std::move(event.error());
      if (auto* chunk = std::get_if<output_chunk>(&*event)) {
        if (chunk->stream == output_stream::standard_output)
          co_return std::move(chunk->bytes);
        keep(complaint_, chunk->bytes);
      } else if (auto* exit = std::get_if<process_exit>(&*event)) {
        ended_ = true;
        // 1: a file changed or went while it was read. The archive is whole, and files of a living sandbox do
        // that.
        if (exit->exit_code > 1)
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

/// The standard input of tar inside the sandbox, which is started by the first bytes: tar cannot look twice
/// at a pipe, so it must be told whether they are compressed. What tar says is read while it is fed: it may
/// complain about every file, and would wait for a reader.
class tar_sink final : public archive_sink {
public:
  using starter = std::function<io_task<result<std::unique_ptr<connection>>>(bool gzip)>;
  explicit tar_sink(starter start)
      : start_(std::move(start)) {}

  io_task<result<void>> write(std::string_view bytes) override {
    held_.append(bytes);
    if (!link_ && held_.size() < magic_bytes)
      co_return caf::unit;
    auto fed = co_await feed(false);
    co_return std::move(fed);
  }

  io_task<result<void>> finish() override {
    auto fed = co_await feed(true);
    if (!fed)
      co_return std::move(fed);
    if (!over_)
      co_await hear();
    co_return verdict();
  }

private:
  static constexpr std::size_t magic_bytes = 2;

  io_task<result<void>> feed(bool last) {
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
    if (last)
      append_frame(frames, frame_type::stdin_end);
    if (!over_) {
      using boost::asio::experimental::awaitable_operators::operator||;
      auto sending = link_->try_send(std::move(frames));
      auto hearing = hear();
      auto first = co_await (std::move(sending) || std::move(hearing));
      auto* taken = std::get_if<0>(&first);
      if (taken && !*taken && !over_)
        co_await hear(); // it takes no more because it ended: that news is on its way
    }
    // Bytes after the archive's end are of no interest to tar; they are to nobody.
    if (over_)
      co_return verdict();
    co_return caf::unit;
  }

  /// Reads what tar says until it ends. May be cancelled and begun again: what was heard is kept.
  io_task<void> hear() {
    for (;;) {
      auto next = co_await link_->receive();
      if (!next) {
        // Being cancelled is ours: something else came first.
        if (code_of(next.error()) != errc::cancelled)
          end(std::move(next.error()));
        co_return;
      }
      if (next->type == frame_type::chunk && next->payload.size() >= chunk_head::size) {
        keep(complaint_, std::string_view{next->payload}.substr(chunk_head::size));
        continue;
      }
      auto exit = next->type == exited::type ? decode<exited>(next->payload) : std::nullopt;
      if (!exit)
        end(link_->violation());
      else if (exit->exit_code != 0)
        end(fail(errc::invalid_argument, "The archive was refused: " + complaint_));
      else
        end({});
      co_return;
    }
  }

  void end(caf::error why) {
    over_ = true;
    why_ = std::move(why);
  }

  result<void> verdict() const {
    if (!over_)
      return fail(errc::cancelled, "The request was cancelled");
    if (why_)
      return why_;
    return caf::unit;
  }

  starter start_;
  std::unique_ptr<connection> link_;
  std::string held_, complaint_;
  bool over_ = false; ///< tar has ended, with `why_` or well
  caf::error why_;
};

} // namespace

io_task<result<std::unique_ptr<byte_source>>> guest_io::archive(std::string directory, bool gzip) {
  auto full = absolute_path(std::move(directory));
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
  co_return std::make_unique<tar_source>(std::move(*program));
}

io_task<result<std::unique_ptr<archive_sink>>> guest_io::unarchive(std::string directory) {
  auto full = absolute_path(std::move(directory));
  if (!full)
    co_return std::move(full.error());
  auto made = co_await make_directory(*full, 0755);
  if (!made)
    co_return std::move(made.error());
  co_return std::make_unique<tar_sink>([self = shared_from_this(), directory_path = *full](bool gzip) {
    return self->start_tar(directory_path, gzip);
  });
}

io_task<result<guest_io::link>> guest_io::start_tar(std::string directory, bool gzip) {
  process_spec tar;
  // Owners are left alone: an archive from elsewhere names users that this sandbox cannot have.
  tar.argv = {"tar",         "--extract",         gzip ? "--gzip" : "--no-auto-compress", "--no-same-owner",
              "--directory", std::move(directory)};
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

io_task<result<void>> guest_io::run_program(process_spec spec) {
  auto program = co_await exec(std::move(spec));
  if (!program)
    co_return std::move(program.error());
  std::string complaint;
  for (;;) {
    auto event = co_await (*program)->next();
    if (!event)
      co_return std::move(event.error());
    if (auto* chunk = std::get_if<output_chunk>(&*event)) {
      keep(complaint, chunk->bytes);
    } else if (auto* exit = std::get_if<process_exit>(&*event)) {
      if (exit->exit_code == 0)
        co_return caf::unit;
      bool full = complaint.find("No space left") != std::string::npos ||
                  complaint.find("Disk quota") != std::string::npos;
      co_return fail(full ? errc::disk_full : errc::conflict, complaint);
    }
  }
}

} // namespace sandy::guest
