#include "runtime/guest/trusted_authority.hpp"

#include "runtime/guest/whole_file.hpp"

#include <array>

namespace sandy::guest {

namespace {

/// Where distributions keep all authorities in one file: Debian, Alpine, Arch; Fedora; others.
constexpr std::array<std::string_view, 3> usual_files{
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
/// They take 0.2 MiB. What is larger, somebody made to be so.
constexpr std::size_t most_bytes = 2 * 1024 * 1024;

io_task<std::string> authorities_of_image(std::shared_ptr<sandbox_io> in, std::string otherwise) {
  for (auto path : usual_files) {
    auto text = co_await read_beginning(in, std::string{path}, most_bytes + 1);
    if (text && !text->empty() && text->size() <= most_bytes)
      co_return std::move(*text);
  }
  co_return otherwise;
}

write_options file_for_all(std::string_view path) {
  write_options options;
  options.path = path;
  options.mode = 0644; // programs of any user read it
  return options;
}

} // namespace

environment trusting_variables() {
  environment all;
  for (auto name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
                    "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "NIX_SSL_CERT_FILE", "BUNDLE_SSL_CA_CERT",
                    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"})
    all.emplace_back(name, authorities_file);
  for (auto name : {"NODE_EXTRA_CA_CERTS", "DENO_CERT"}) // these add to what is trusted
    all.emplace_back(name, authority_file);
  return all;
}

io_task<result<void>> trust_authority(std::shared_ptr<sandbox_io> in, std::string certificate,
                                      std::string otherwise) {
  auto all = co_await authorities_of_image(in, std::move(otherwise));
  if (!all.empty() && !all.ends_with('\n'))
    all += '\n';
  all += certificate;
  auto options = file_for_all(authority_file);
  auto written = co_await write_whole(in, std::move(options), std::move(certificate));
  if (!written)
    co_return std::move(written.error());
  options = file_for_all(authorities_file);
  written = co_await write_whole(std::move(in), std::move(options), std::move(all));
  co_return written;
}

} // namespace sandy::guest
