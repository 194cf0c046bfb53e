// What crun_driver's sandboxes have written, as layers are made from it; the rest of the driver is in
// crun_driver.cpp.

#include "runtime/crun/crun_driver.hpp"
#include "runtime/files.hpp"

namespace sandy::runtime {

result<host_driver::layer_source> crun_driver::source_of(const sandbox_id& id) {
  sandbox_files files{options_.data_dir, id};
  auto from = read_origin(files.origin);
  if (!from)
    return std::move(from.error());
  auto gone = [] { return fail(errc::sandbox_failed, "the sandbox does not run"); };
  auto status = read_status(files);
  if (!status || !open_init(*status))
    return gone();
  auto process = "/proc/" + std::to_string(status->init_pid);
  auto loop = read_small_file(files.loop).value_or("");
  while (loop.ends_with('\n'))
    loop.pop_back();
  auto uid = host_uid_of_root(status->init_pid);
  if (loop.empty() || !uid)
    return gone();
  return layer_source{std::move(*from),
                      used_bytes(process + "/root"),
                      {options_.copier, stage_, loop, std::to_string(*uid)},
                      options_.copy_timeout};
}

} // namespace sandy::runtime
