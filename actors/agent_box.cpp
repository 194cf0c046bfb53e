#include "actors/agent_box.hpp"

#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "runtime/guest/whole_file.hpp"

#include <boost/asio/post.hpp>

namespace sandy {

namespace {

/// A stream belongs to the io_context on which it was made, and has to end there.
template <class Stream>
std::shared_ptr<Stream> living_on(boost::asio::io_context& context, std::unique_ptr<Stream> stream) {
  return {stream.release(), [&context](Stream* owned) {
            boost::asio::post(context, [last = std::unique_ptr<Stream>{owned}] {});
          }};
}

template <class Item, class Stream>
io_task<result<Item>> next_of(std::shared_ptr<Stream> stream) {
  auto item = co_await stream->next();
  co_return item;
}

/// Whoever waits may give up before the operation is over: until then it needs what it works on.
template <class T>
io_task<T> keeping([[maybe_unused]] std::shared_ptr<sandbox_io> kept, io_task<T> work) {
  auto outcome = co_await std::move(work);
  co_return outcome;
}

constexpr std::uint32_t most_listed = 20'000;

class guest_agent_box final : public agent_box {
public:
  guest_agent_box(boost::asio::io_context& context, std::shared_ptr<sandbox_io> io)
      : context_(context)
      , io_(std::move(io)) {}

  coro::task<void> make_directory(std::string path) override {
    auto made = co_await coro::io<void>(context_, keeping(io_, io_->make_directory(std::move(path), 0700)));
    co_return std::move(made);
  }

  coro::task<void> write(std::string path, std::string content) override {
    auto written = co_await coro::io<void>(
        context_, guest::write_whole(io_, {std::move(path), 0600, false}, std::move(content)));
    co_return std::move(written);
  }

  coro::task<std::string> read(std::string path, std::uint64_t most) override {
    auto content =
        co_await coro::io<std::string>(context_, guest::read_beginning(io_, std::move(path), most));
    co_return std::move(content);
  }

  coro::task<file_info> stat(std::string path) override {
    auto info = co_await coro::io<file_info>(context_, keeping(io_, io_->stat(std::move(path))));
    co_return std::move(info);
  }

  coro::task<std::vector<std::string>> list(std::string directory) override {
    auto found = co_await coro::io<std::vector<file_info>>(
        context_, keeping(io_, io_->list({std::move(directory), true, true, most_listed})));
    if (!found)
      co_return std::move(found.error());
    std::vector<std::string> names;
    for (auto& each : *found)
      if (each.kind != file_kind::directory)
        names.push_back(std::move(each.path));
    co_return std::move(names);
  }

  coro::task<void> watch(std::string directory) override {
    auto stream = co_await coro::io<std::unique_ptr<watch_stream>>(
        context_, keeping(io_, io_->watch({std::move(directory), true, true})));
    if (!stream)
      co_return std::move(stream.error());
    changes_ = living_on(context_, std::move(*stream));
    co_return caf::unit;
  }

  coro::task<watch_event> next_change() override {
    auto change = co_await coro::io<watch_event>(context_, next_of<watch_event>(changes_));
    co_return std::move(change);
  }

  coro::task<std::uint32_t> start(process_spec spec) override {
    auto started = co_await coro::io<process_info>(context_, keeping(io_, io_->start(std::move(spec))));
    if (!started)
      co_return std::move(started.error());
    process_ = started->process_id;
    auto stream = co_await coro::io<std::unique_ptr<process_stream>>(
        context_, keeping(io_, io_->output(process_, 0, true)));
    if (!stream)
      co_return std::move(stream.error());
    output_ = living_on(context_, std::move(*stream));
    co_return process_;
  }

  coro::task<void> feed(std::string bytes) override {
    auto fed =
        co_await coro::io<void>(context_, keeping(io_, io_->write_stdin(process_, std::move(bytes), true)));
    co_return std::move(fed);
  }

  coro::task<process_event> next_event() override {
    auto event = co_await coro::io<process_event>(context_, next_of<process_event>(output_));
    co_return std::move(event);
  }

  coro::task<void> signal(int number) override {
    auto sent = co_await coro::io<void>(context_, keeping(io_, io_->signal(process_, number, false)));
    co_return std::move(sent);
  }

private:
  boost::asio::io_context& context_;
  std::shared_ptr<sandbox_io> io_;
  std::uint32_t process_ = 0;
  std::shared_ptr<process_stream> output_;
  std::shared_ptr<watch_stream> changes_;
};

} // namespace

std::shared_ptr<agent_box> make_agent_box(coro::pool& threads, std::shared_ptr<sandbox_io> io) {
  return std::make_shared<guest_agent_box>(threads.here(), std::move(io));
}

coro::task<process_info> describe_process(coro::pool& threads, std::shared_ptr<sandbox_io> io,
                                          std::uint32_t process_id) {
  auto info = co_await coro::io<process_info>(threads.here(), keeping(io, io->process(process_id)));
  co_return std::move(info);
}

} // namespace sandy
