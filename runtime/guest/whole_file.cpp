#include "runtime/guest/whole_file.hpp"

namespace sandy::guest {

io_task<result<std::string>> read_beginning(std::shared_ptr<sandbox_io> in, std::string path,
                                            std::uint64_t most) {
  auto file = co_await in->read_file(std::move(path), 0, most);
  if (!file)
    co_return std::move(file.error());
  std::string content;
  for (;;) {
    auto piece = co_await file->bytes->read();
    if (!piece)
      co_return std::move(piece.error());
    if (piece->empty())
      co_return std::move(content);
    content += *piece;
  }
}

io_task<result<void>> write_whole(std::shared_ptr<sandbox_io> in, write_options options,
                                  std::string content) {
  auto sink = co_await in->write_file(std::move(options));
  if (!sink)
    co_return std::move(sink.error());
  auto written = co_await (*sink)->write(content);
  if (!written)
    co_return std::move(written.error());
  auto placed = co_await (*sink)->commit(false);
  if (!placed)
    co_return std::move(placed.error());
  co_return caf::unit;
}

} // namespace sandy::guest
