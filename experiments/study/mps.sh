# To be sourced on a machine with a GPU: lets the kernels of many small processes run at the same time, where the driver's
# multi-process service is there (without it they take turns). Needs no settings of the card; ends with `mps_stop`.
mps_start() {
    command -v nvidia-cuda-mps-control > /dev/null || { echo "no multi-process service here: processes take turns"; return 0; }
    export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps-log
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d && echo "multi-process service started"
}
mps_stop() { [ -S /tmp/mps/control ] && echo quit | nvidia-cuda-mps-control || true; }
