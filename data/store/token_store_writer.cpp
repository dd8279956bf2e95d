#include "data/store/token_store_writer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "data/store/hdf5_handle.h"
#include "data/store/token_store.h"
#include "data/store/token_store_layout.h"
#include "src/core/error.h"

namespace longspan {

namespace fs = std::filesystem;
namespace layout = token_store_layout;

namespace {

[[noreturn]] void cannot_write(const std::string& path) {
  fail(ExitCode::kFailure, "{}: cannot write: {}; free some disk space or write elsewhere", path,
       hdf5_reason());
}

template <class T>
hid_t element_type();
template <>
hid_t element_type<int32_t>() {
  return H5T_STD_I32LE;
}
template <>
hid_t element_type<int64_t>() {
  return H5T_STD_I64LE;
}
template <>
hid_t element_type<uint8_t>() {
  return H5T_STD_U8LE;
}

/// A dataset of one dimension that grows a chunk at a time.
template <class T>
class GrowingDataset {
 public:
  /// `fill` is the value of what is skipped, which takes no room.
  GrowingDataset(hid_t file, const char* name, const std::string& path, T fill = 0) : path_(path) {
    const hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk = layout::kChunkElements;
    Hdf5Handle space(H5Screate_simple(1, &none, &unlimited), H5Sclose);
    Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(properties.id(), false);  // the same documents make the same file
    bool ready = H5Pset_chunk(properties.id(), 1, &chunk) >= 0 &&
                 (fill == 0 || H5Pset_fill_value(properties.id(), element_type<T>(), &fill) >= 0) &&
                 H5Pset_shuffle(properties.id()) >= 0 &&
                 H5Pset_deflate(properties.id(), layout::kDeflateLevel) >= 0 &&
                 H5Pset_fletcher32(properties.id()) >= 0;
    dataset_ = {H5Dcreate2(file, name, element_type<T>(), space.id(), H5P_DEFAULT, properties.id(),
                           H5P_DEFAULT),
                H5Dclose};
    if (!ready || !dataset_.valid()) cannot_write(path_);
  }

  void append(const T* values, size_t count) {
    while (count > 0) {
      size_t taken = std::min(count, layout::kChunkElements - buffer_.size());
      buffer_.insert(buffer_.end(), values, values + taken);
      values += taken;
      count -= taken;
      if (buffer_.size() == layout::kChunkElements) flush();
    }
  }
  /// Goes on at element `end`.
  void skip_to(hsize_t end) {
    flush();
    if (H5Dset_extent(dataset_.id(), &end) < 0) cannot_write(path_);
    size_ = end;
  }
  hsize_t end() const { return size_ + buffer_.size(); }
  void flush() {
    if (buffer_.empty()) return;
    const hsize_t begin = size_, count = buffer_.size(), end = begin + count;
    if (H5Dset_extent(dataset_.id(), &end) < 0) cannot_write(path_);
    Hdf5Handle to(H5Dget_space(dataset_.id()), H5Sclose);
    Hdf5Handle from(H5Screate_simple(1, &count, nullptr), H5Sclose);
    if (H5Sselect_hyperslab(to.id(), H5S_SELECT_SET, &begin, nullptr, &count, nullptr) < 0 ||
        H5Dwrite(dataset_.id(), element_type<T>(), from.id(), to.id(), H5P_DEFAULT,
                 buffer_.data()) < 0) {
      cannot_write(path_);
    }
    size_ = end;
    buffer_.clear();
  }
  bool close() { return dataset_.close(); }

 private:
  const std::string& path_;
  Hdf5Handle dataset_;
  std::vector<T> buffer_;
  hsize_t size_ = 0;
};

/// Whether each token is a label, from the first on that is none; of a store whose tokens all are
/// there is no dataset.
class LabelMask {
 public:
  LabelMask(hid_t file, const std::string& path) : file_(file), path_(path) {}

  /// The flags of the tokens from `begin` on; none: all are labels.
  void append(int64_t begin, const std::vector<uint8_t>& is_label) {
    if (std::find(is_label.begin(), is_label.end(), uint8_t{0}) == is_label.end()) return;
    if (!flags_) flags_.emplace(file_, layout::kIsLabel, path_, uint8_t{1});
    if (flags_->end() < static_cast<hsize_t>(begin)) flags_->skip_to(static_cast<hsize_t>(begin));
    flags_->append(is_label.data(), is_label.size());
  }
  void finish(int64_t tokens) {
    if (flags_) flags_->skip_to(static_cast<hsize_t>(tokens));
  }
  bool close() { return !flags_ || flags_->close(); }

 private:
  hid_t file_;
  const std::string& path_;
  std::optional<GrowingDataset<uint8_t>> flags_;
};

void write_attribute(hid_t file, const char* name, hid_t type, const void* value,
                     const std::string& path) {
  Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  Hdf5Handle attribute(H5Acreate2(file, name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                       H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute.id(), type, value) < 0) cannot_write(path);
}

void write_attribute(hid_t file, const char* name, int64_t value, const std::string& path) {
  write_attribute(file, name, H5T_STD_I64LE, &value, path);
}

void write_attribute(hid_t file, const char* name, const std::string& value,
                     const std::string& path) {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), value.size() + 1);
  write_attribute(file, name, type.id(), value.c_str(), path);
}

Hdf5Handle create(const fs::path& part, const std::string& path) {
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_file_locking(access.id(), false, true);  // the PartFile is locked
  Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.id(), false);  // of the root group
  Hdf5Handle file(H5Fcreate(part.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose);
  if (!file.valid()) cannot_write(path);
  return file;
}

}  // namespace

struct TokenStoreWriter::File {
  File(PartFile claimed, const std::string& fingerprint, int64_t vocab)
      : part(std::move(claimed)),
        name(part.path().string()),
        vocab_size(vocab),
        file(create(part.part(), name)),
        tokens(file.id(), layout::kTokens, name),
        is_label(file.id(), name),
        offsets(file.id(), layout::kDocumentOffsets, name),
        names(file.id(), layout::kDocumentNames, name) {
    write_attribute(file.id(), layout::kFormatKey, layout::kFormat, name);
    write_attribute(file.id(), layout::kFormatVersionKey, layout::kFormatVersion, name);
    write_attribute(file.id(), layout::kTokenizerFingerprintKey, fingerprint, name);
    write_attribute(file.id(), layout::kVocabSizeKey, vocab_size, name);
    offsets.append(&end, 1);
  }
  ~File() { close(); }
  bool close() {
    bool closed = tokens.close();
    closed = is_label.close() && closed;
    closed = offsets.close() && closed;
    closed = names.close() && closed;
    return file.close() && closed;
  }

  PartFile part;
  std::string name;  // of the file that it becomes
  int64_t vocab_size;
  Hdf5Handle file;
  GrowingDataset<int32_t> tokens;
  LabelMask is_label;
  GrowingDataset<int64_t> offsets;
  GrowingDataset<uint8_t> names;
  int64_t end = 0;
};

TokenStoreWriter::TokenStoreWriter(PartFile file, const std::string& tokenizer_fingerprint,
                                   int64_t vocab_size) {
  Hdf5Lock lock;
  file_ = std::make_unique<File>(std::move(file), tokenizer_fingerprint, vocab_size);
}

TokenStoreWriter::TokenStoreWriter(fs::path path, const std::string& tokenizer_fingerprint,
                                   int64_t vocab_size)
    : TokenStoreWriter(PartFile(std::move(path)), tokenizer_fingerprint, vocab_size) {}

TokenStoreWriter::~TokenStoreWriter() {
  Hdf5Lock lock;
  file_.reset();
}

void TokenStoreWriter::append(const std::string& document_name, const std::vector<int32_t>& ids,
                              const std::vector<uint8_t>& is_label) {
  if (!is_label.empty() && is_label.size() != ids.size()) {
    fail(ExitCode::kData, "{}: {} label flags for {} tokens", document_name, is_label.size(),
         ids.size());
  }
  for (int32_t id : ids) {
    if (id < 0 || id >= file_->vocab_size) {
      fail(ExitCode::kData, "{}: token id {}, expected 0 to {}", document_name, id,
           file_->vocab_size - 1);
    }
  }
  Hdf5Lock lock;
  file_->tokens.append(ids.data(), ids.size());
  file_->is_label.append(file_->end, is_label);
  file_->end += static_cast<int64_t>(ids.size());
  file_->offsets.append(&file_->end, 1);
  // The C string: a name ends at its first NUL in the file too.
  const char* name = document_name.c_str();
  file_->names.append(reinterpret_cast<const uint8_t*>(name), std::strlen(name) + 1);
}

void TokenStoreWriter::commit() {
  Hdf5Lock lock;
  file_->tokens.flush();
  file_->is_label.finish(file_->end);
  file_->offsets.flush();
  file_->names.flush();
  if (!file_->close()) cannot_write(file_->name);
  file_->part.commit();
}

}  // namespace longspan
