"""Where limits keep their counts: `local`, in this process."""
