# The judge, and recorded runs judged by it.
target_sources(xf_shifter PRIVATE
    judge.c
    judge_blame.c
    judge_blip.c
    judge_budget.c
    judge_cell.c
    judge_checkpoint.c
    judge_detector.c
    judge_explain.c
    judge_learnt.c
    judge_options.c
    judge_promote.c
    judge_router.c
    judge_sentence.c
    judge_silence.c
    judge_tally.c
    judge_trail.c
    replay.c
    replay_log.c
    replay_read.c)
