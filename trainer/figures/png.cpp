#include "trainer/figures/png.h"

#include <cairo.h>
#include <fmt/format.h>
#include <librsvg/rsvg.h>

#include <cmath>
#include <map>
#include <memory>
#include <regex>

#include "src/core/atomic_file.h"
#include "src/core/error.h"

namespace longspan {

namespace {

struct Free {
  void operator()(RsvgHandle* handle) const { g_object_unref(handle); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
  void operator()(GError* error) const { g_error_free(error); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

cairo_status_t append(void* bytes, const unsigned char* data, unsigned size) {
  static_cast<std::string*>(bytes)->append(reinterpret_cast<const char*>(data), size);
  return CAIRO_STATUS_SUCCESS;
}

[[noreturn]] void fail_to_draw(const std::filesystem::path& path, GError* error) {
  const Owned<GError> owned(error);
  fail(ExitCode::kFailure, "{}: the figure cannot be drawn: {}", path.string(),
       error ? error->message : "librsvg gives no reason");
}

}  // namespace

std::string without_css_variables(const std::string& svg) {
  std::map<std::string, std::string> values;
  const size_t style = std::min(svg.find("<style>"), svg.size());
  const std::string block = svg.substr(style, svg.find('}', style) - style);
  const std::regex definition(R"((--[a-z0-9-]+): ([^;]+);)");
  for (std::sregex_iterator it(block.begin(), block.end(), definition), end; it != end; ++it) {
    values[(*it)[1]] = (*it)[2];
  }
  std::string plain;
  size_t begin = 0;
  const std::regex use(R"(var\((--[a-z0-9-]+)\))");
  for (std::sregex_iterator it(svg.begin(), svg.end(), use), end; it != end; ++it) {
    plain += svg.substr(begin, it->position() - begin) + values[(*it)[1]];
    begin = it->position() + it->length();
  }
  return plain + svg.substr(begin);
}

void write_png(const std::filesystem::path& path, const std::string& svg, double scale) {
  const std::string plain = without_css_variables(svg);
  GError* error = nullptr;
  const Owned<RsvgHandle> handle(rsvg_handle_new_from_data(
      reinterpret_cast<const guint8*>(plain.data()), plain.size(), &error));
  if (!handle) fail_to_draw(path, error);
  double width = 0, height = 0;
  if (!rsvg_handle_get_intrinsic_size_in_pixels(handle.get(), &width, &height)) {
    fail_to_draw(path, nullptr);
  }
  const Owned<cairo_surface_t> surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(width * scale)),
                                 static_cast<int>(std::ceil(height * scale))));
  const Owned<cairo_t> context(cairo_create(surface.get()));
  const RsvgRectangle page{0, 0, width * scale, height * scale};
  if (!rsvg_handle_render_document(handle.get(), context.get(), &page, &error)) {
    fail_to_draw(path, error);
  }
  std::string bytes;
  if (cairo_surface_write_to_png_stream(surface.get(), append, &bytes) != CAIRO_STATUS_SUCCESS) {
    fail_to_draw(path, nullptr);
  }
  write_file(path, bytes);
}

}  // namespace longspan
