#include "tools/commands/commands.h"

namespace longspan {

namespace {

// A new command is a file, its declaration, and a line here.
constexpr const Command* kCommands[] = {
    &kPullCommand,        &kConvertCommand,   &kPlanCommand,     &kPrepareCommand,
    &kDataNeedlesCommand, &kDataScoreCommand, &kValidateCommand, &kSchemaCommand,
    &kTrainCommand,       &kMergeCommand,     &kVerifyCommand,   &kDiffCommand,
    &kCardCommand,        &kEvalCommand,      &kReportCommand,   &kLongropeSearchCommand,
    &kGenerateCommand,    &kInspectCommand,   &kTokenizeCommand, &kLogitsCommand,
    &kCompletionCommand,  &kManCommand,
};

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

}  // namespace longspan
